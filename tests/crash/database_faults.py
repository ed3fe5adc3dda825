"""T17: the state database is damaged, cut short or taken away: the daemon refuses it, or goes on and is right."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.crash.daemon_process import Fault, Place
from tests.crash.scene import Scene
from tests.crash.sweeps import Found, manners

__all__ = ["database_faults"]

_REFUSED, _SAID_SO = 4, {1, 5}
_FILES = ("", "-wal", "-shm")

Damage = Callable[[Path, random.Random], str]


def database_faults(scene: Scene, *, faults: int = 300, seed: int = 17) -> Found:
    """Damage a state that is at rest, or one whose daemon was killed, whose log holds what the database does not."""
    found, luck = Found(), random.Random(seed)
    rest = scene.place("at-rest")
    assert scene.sync(rest).code == 0
    killed = scene.place("killed")
    assert scene.sync(killed, Fault(at=len(scene.calls()) * 3 // 4, how="kill")).hits
    for number, (damage, template) in enumerate(_plan(faults, rest, killed)):
        place = Place.below(scene.folder / "place")
        shutil.rmtree(place.folder, ignore_errors=True)
        # With links, as they are in a store.
        subprocess.run(["cp", "-a", template.folder, place.folder], check=True)
        config = place.folder / "artifact-sync.yaml"
        config.write_text(config.read_text().replace(str(template.folder), str(place.folder)))
        what = damage(place.state, luck)
        found.add(f"{number + 1}: {what}", _judged(scene, place, found, rebuild=number % 2 == 0))
    return found


def _plan(faults: int, rest: Place, killed: Place) -> Iterator[tuple[Damage, Place]]:
    """In parts of 30."""
    turns: list[tuple[Damage, Place, int]] = [
        (_flip(""), rest, 14),
        (_flip(""), killed, 3),
        (_flip("-wal"), killed, 4),
        (_truncate(""), rest, 3),
        (_truncate("-wal"), killed, 2),
        (_delete("-wal"), killed, 2),
        (_delete(""), rest, 1),
        (_delete(""), killed, 1),
    ]
    every = [(damage, place) for damage, place, times in turns for _ in range(times)]
    for number in range(faults):
        yield every[number % len(every)]


def _judged(scene: Scene, place: Place, found: Found, *, rebuild: bool) -> list[str]:
    before = _tree(place)
    ran = scene.sync(place, kinds=())
    wrong = manners(ran)
    after = _tree(place)
    wrong += [f"{name} is gone or has changed" for name, content in before.items() if after.get(name) != content]
    if ran.code == 0:
        found.note("went on")
        return wrong + scene.auditor(place).look_complete()
    if ran.code == _REFUSED:
        found.note("refused")
        if "hint:" not in ran.err:
            wrong.append(f"it refused without a hint: {ran.err.strip()}")
    elif ran.code in _SAID_SO:
        found.note("went on, and said that something failed")
    else:
        wrong.append(f"it ended with {ran.code}: {ran.err.strip()[-300:]}")
    if not rebuild:
        # Whoever takes it away is told the same: a start without it would forget what GitLab does not list any more.
        for suffix in _FILES:
            place.state.with_name(f"{place.state.name}{suffix}").unlink(missing_ok=True)
        if scene.sync(place, kinds=()).code != _REFUSED:
            wrong.append("it began without a state beside a store with publications")
    rebuilt = scene.zygote.run("rebuild-state", place=place, kinds=())
    found.note("rebuilt")
    if rebuilt.code:
        wrong.append(f"rebuild-state ended with {rebuilt.code}: {rebuilt.err.strip()[-300:]}")
    return wrong + scene.recovered(place)


def _tree(place: Place) -> dict[str, bytes]:
    tree = place.store / "tree"
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in tree.rglob("*")
        # The manifest names its rules and times, and may be written anew.
        if path.is_file() and not path.name.startswith(".")
    }


def _flip(suffix: str) -> Damage:
    def damage(state: Path, luck: random.Random) -> str:
        path = state.with_name(f"{state.name}{suffix}")
        content = bytearray(path.read_bytes())
        # Pages that hold something: most of a small database's bytes are zero.
        places = [index for index, byte in enumerate(content) if byte]
        at, bit = luck.choice(places), luck.randrange(8)
        content[at] ^= 1 << bit
        path.write_bytes(content)
        return f"bit {bit} of byte {at} of {path.name} flipped"

    return damage


def _truncate(suffix: str) -> Damage:
    def damage(state: Path, luck: random.Random) -> str:
        path = state.with_name(f"{state.name}{suffix}")
        size = luck.randrange(path.stat().st_size)
        with path.open("r+b") as file:
            file.truncate(size)
        return f"{path.name} cut to {size} bytes"

    return damage


def _delete(suffix: str) -> Damage:
    def damage(state: Path, luck: random.Random) -> str:
        path = state.with_name(f"{state.name}{suffix}")
        path.unlink()
        return f"{path.name} deleted"

    return damage

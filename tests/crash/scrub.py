"""T16: stored files are damaged behind the daemon's back: `verify` names every one, and `verify --repair` brings them back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.acceptance.harness import simulated_gitlab
from tests.crash.scene import Scene
from tests.crash.served import everything
from tests.crash.sweeps import Found, manners

__all__ = ["scrub"]

_WORLD = "jobs:120:4000"
_DAMAGED = 4


def scrub(scene: Scene, *, flips: int = 100, cuts: int = 50, deletions: int = 50, seed: int = 16) -> Found:
    """Flip a bit in so many files, cut so many short, delete so many."""
    found, luck = Found(), random.Random(seed)
    with simulated_gitlab(_WORLD) as gitlab:
        made = replace(scene, gitlab=gitlab, served=everything(gitlab))
        place = made.place("scrub")
        first = made.sync(place, kinds=(), timeout=300)
        assert first.code == 0, first.err
        tree = place.store / "tree"
        # Those that have one name and one object: what damages one of several names damages all of them.
        files = sorted(
            path
            for path in tree.rglob("*")
            if path.is_file() and path.stat().st_nlink == 2 and path.stat().st_size and not path.name.startswith(".")
        )
        hurt = luck.sample(files, flips + cuts + deletions)
        _flip(hurt[:flips], luck)
        _cut(hurt[flips : flips + cuts], luck)
        for path in hurt[flips + cuts :]:
            path.unlink()
        told = made.zygote.run("verify", "--json", place=place, kinds=(), timeout=300)
        named = {
            f"{event['dest']}/{damage['name']}"
            for event in told.events
            if event["event"] == "damaged"
            for damage in event["damages"]
        }
        meant = {str(path.relative_to(tree)) for path in hurt}
        wrong = [f"{name} is damaged, and verify did not say so" for name in sorted(meant - named)]
        wrong += [f"{name} is whole, and verify calls it damaged" for name in sorted(named - meant)]
        wrong += manners(told) + ([f"verify ended with {told.code}"] if told.code != _DAMAGED else [])
        repaired = made.zygote.run("verify", "--repair", "--json", place=place, kinds=(), timeout=300)
        wrong += manners(repaired)
        wrong += [f"the repair ended with {repaired.code}: {repaired.err.strip()[-300:]}"] if repaired.code else []
        wrong += made.auditor(place).look_complete(tidy=False) + made.recovered(place, timeout=300)
        found.faults, found.violations = len(hurt), wrong
        found.note("named by verify", len(named & meant))
    return found


def _flip(paths: Sequence[Path], luck: random.Random) -> None:
    for path in paths:
        content = bytearray(path.read_bytes())
        content[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
        with path.open("r+b") as file:
            file.write(content)


def _cut(paths: Sequence[Path], luck: random.Random) -> None:
    for path in paths:
        with path.open("r+b") as file:
            file.truncate(luck.randrange(path.stat().st_size))

"""Moving into the trash and back is stopped and failed at every single call of the operating system."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from artifact_sync.core.model import StagedFile
from artifact_sync.store import LocalStore
from tests.storage import publication, transfer
from tests.unit.store.disturbing import TYPED, Ask, child

FILES = {"artifacts.zip": b"zip", "files/a/b": b"b", "files/c": b"c"}
DEST = "g/app/7"
INNER = "g/app/7/files/8"
MOST_CALLS = 400


@pytest.fixture(scope="module")
def move() -> Iterator[Ask]:
    """Moves in a process of its own."""
    with child("trash_child") as ask:
        yield ask


@dataclass
class Scene:
    """A store before the move, and what it must hold."""

    template: Path
    files: tuple[StagedFile, ...]
    back: bool
    outer: dict[str, bytes]
    inner: dict[str, bytes]

    def fresh_copy(self, at: Path) -> Path:
        """The store again. Links are no matter here."""
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(self.template, at)
        return at


def found(root: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def scene(path: Path, *, nested: bool, back: bool) -> Scene:
    """One publication, perhaps with another one inside, in the tree or in the trash."""
    inner: dict[str, bytes] = {}
    async with LocalStore.open(path) as store:
        made = await publication(store, FILES, of=transfer(dest=DEST, names=tuple(FILES)))
        await store.publish(made)
        outer = found(path / "tree")
        if nested:
            await store.publish(await publication(store, {"artifacts.zip": b"in"}, of=transfer(8, dest=INNER)))
            inner = {name: content for name, content in found(path / "tree").items() if name not in outer}
        if back:
            await store.trash.take(DEST, made.files, "t")
    return Scene(path, made.files, back, outer, inner)


def look(store: Path, scene: Scene) -> None:
    """At every moment each file is in one of the two places, and what is inside stays where it is."""
    here = found(store / "tree")
    there = {f"{DEST}/{name}": content for name, content in found(store / ".trash").items()}
    there = {name.replace("/t/", "/", 1): content for name, content in there.items()}
    assert not here.keys() & there.keys()
    assert here | there == scene.outer | scene.inner
    assert scene.inner.items() <= here.items()
    if f"{DEST}/.artifact-sync.json" in here:
        assert scene.outer.items() <= here.items(), "what has a manifest is whole"


async def complete(path: Path, scene: Scene) -> None:
    """What recovery does: the same again, and then the way back."""
    async with LocalStore.open(path) as store:
        for _ in range(2):
            if scene.back:
                assert await store.trash.give_back(DEST, "t")
            else:
                assert await store.trash.take(DEST, scene.files, "t")
        look(path, scene)
        assert found(path / "tree") == (scene.outer if scene.back else {}) | scene.inner
        if not scene.inner and not scene.back:
            assert list((path / "tree").iterdir()) == []
        if scene.back:
            assert await store.trash.take(DEST, scene.files, "t")
        assert await store.trash.give_back(DEST, "t")
        assert await store.has(DEST, scene.files)
        assert await store.trash.names() == []


@pytest.mark.parametrize("back", [False, True], ids=["take", "give back"])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
@pytest.mark.parametrize(("how", "sticky"), [("kill", False), ("EIO", False), ("ENOSPC", True)])
async def test_stopped_at_every_call(tmp_path, move, nested, back, how, sticky):
    """Nothing is lost or doubled at any point, every error is the program's own, and doing it again completes it."""
    made = await scene(tmp_path / "template", nested=nested, back=back)
    results: Counter[str] = Counter()
    for at in range(1, MOST_CALLS):
        store = made.fresh_copy(tmp_path / "store")
        answer = move(store=store, dest=DEST, files=made.files, back=back, at=at, how=how, sticky=sticky)
        results[answer["result"]] += 1
        look(store, made)
        await complete(store, made)
        if answer["result"] == "done" and answer["calls"] < at:
            break
    else:
        pytest.fail(f"still not done after {MOST_CALLS} calls")
    assert set(results) <= TYPED | {"killed"}
    assert sum(results.values()) - results["done"] > 10

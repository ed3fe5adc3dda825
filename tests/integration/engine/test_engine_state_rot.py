"""T17: a damaged state database is refused, or works: what is mirrored in the end is right and complete in any case."""

import hashlib
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from artifact_sync.engine import resolve
from artifact_sync.engine.audit import audit
from artifact_sync.engine.rebuilding import rebuild
from artifact_sync.errors import StateError
from artifact_sync.simulator import World, serve
from artifact_sync.state import SqliteBuilder
from artifact_sync.store import LocalStore
from tests.integration.engine.engine_harness import build, rig, rule


@dataclass
class Scene:
    """A world that went on after a mirror was made of it; ``first`` holds that mirror, closed."""

    world: World
    first: Path
    right: dict[str, str]

    def again(self, path: Path) -> Path:
        """The mirror once more, whose bytes are shared: nothing is ever written into a published file."""
        shutil.copytree(self.first, path, copy_function=os.link, symlinks=True)
        for name in ("state.db", "store/.lock"):
            (path / name).unlink()
            shutil.copy(self.first / name, path / name)
        return path

    async def work(self, path: Path) -> str:
        """Pass, audit, pass; how it went. Raises what is no refusal."""
        try:
            await self._work(path)
        except StateError as error:
            if "rebuild-state" not in error.hint:
                raise
            async with LocalStore.open(path / "store") as store, SqliteBuilder.open(path / "state.db") as builder:
                await rebuild(store, builder, owners={}, inspector=None)
            await self._work(path)
            return "refused"
        return "worked"

    async def _work(self, path: Path) -> None:
        async with rig(self.world, path, rule()) as daemon:
            await daemon.sync()
            for project in (await resolve(daemon.remote, daemon.rules)).projects.values():
                await audit(project, daemon.engine._means)
            assert (await daemon.sync()).complete


def contents(path: Path) -> dict[str, str]:
    """sha256 of all that readers see, without manifests, which have times in them."""
    top = path / "store" / "tree"
    return {
        str(file.relative_to(top)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in top.rglob("*")
        if file.is_file() and file.name != ".artifact-sync.json"
    }


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Twelve jobs mirrored, six that came later."""
    world = World()
    app = world.add_project("acme/app")
    first = folder / "first"
    first.mkdir()
    async with serve(world):
        for _ in range(6):
            build(world, app, "build", "pack:age")
        async with rig(world, first, rule()) as daemon:
            assert (await daemon.sync()).complete
        with closing(sqlite3.connect(first / "state.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for _ in range(3):
            build(world, app, "build", "pack:age")
        made = Scene(world, first, {})
        await made.work(made.again(folder / "right"))
        made.right = contents(folder / "right")
        assert len([name for name in made.right if name.endswith(".zip")]) == 18
        yield made


async def flips(folder: Path, numbers: range) -> Counter[str]:
    """One random bit each."""
    outcomes: Counter[str] = Counter()
    async with scene(folder) as made:
        for number in numbers:
            path = made.again(folder / f"flip{number}")
            content = bytearray((path / "state.db").read_bytes())
            bit = random.Random(number).randrange(8 * len(content))
            content[bit // 8] ^= 1 << bit % 8
            (path / "state.db").write_bytes(content)
            outcomes[await made.work(path)] += 1
            assert contents(path) == made.right, f"bit {bit} (seed {number})"
            shutil.rmtree(path)
    return outcomes


@pytest.mark.timeout(120)
async def test_t17_flipped_bits(tmp_path):
    """Ten bits, one in each of ten databases."""
    assert (await flips(tmp_path, range(10))).total() == 10


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_t17_three_hundred_flipped_bits(tmp_path):
    """Some are refused, most are in what means nothing."""
    outcomes = await flips(tmp_path, range(300))
    assert outcomes.total() == 300
    assert outcomes["refused"] >= 5


@pytest.mark.timeout(120)
async def test_t17_a_database_that_is_cut_or_gone(tmp_path):
    """Cut anywhere it is refused with the way out; without its log, or gone, the mirror converges."""
    async with scene(tmp_path) as made:
        for number, part in enumerate((0.9, 0.5, 0.1)):
            path = made.again(tmp_path / f"cut{number}")
            os.truncate(path / "state.db", int((path / "state.db").stat().st_size * part))
            assert await made.work(path) == "refused"
            assert contents(path) == made.right
        path = made.again(tmp_path / "gone")
        (path / "state.db").unlink()
        assert await made.work(path) == "worked"
        assert contents(path) == made.right


async def test_t17_a_log_that_is_gone(tmp_path):
    """What was committed since the last checkpoint is forgotten, and found again."""
    async with scene(tmp_path) as made:
        path = made.again(tmp_path / "log")
        copy = tmp_path / "copy"
        async with rig(made.world, path, rule()) as daemon:
            await daemon.sync()
            # As a killed daemon leaves it, but for the log.
            shutil.copy(path / "state.db", copy)
        shutil.copy(copy, path / "state.db")
        assert await made.work(path) == "worked"
        assert contents(path) == made.right

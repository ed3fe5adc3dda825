"""Publications that become durable together: one fsync for all that it covers, and one failure for them, too."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from artifact_sync.errors import StoreDamaged
from artifact_sync.ports import Publication, Published
from artifact_sync.store import LocalStore
from artifact_sync.store.disk import Syncer
from artifact_sync.store.layout import laid_out
from artifact_sync.store.publish import Publisher
from tests.storage import publication, staged_file, transfer


class Counting(Syncer):
    """Counts fsyncs by what they are for; the one of ``failing`` meets a descriptor that cannot be synced."""

    def __init__(self, failing: str = "") -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.failing = failing

    def directory(self, fd: int, what: str) -> None:
        self.seen[what] += 1
        if self.failing and what.startswith(self.failing):
            reading, writing = os.pipe()
            try:
                self.file(writing, what)
            finally:
                os.close(reading)
                os.close(writing)
        super().directory(fd, what)


async def staged(path: Path, dests: dict[int, str]) -> list[Publication]:
    """A store with the parts of these jobs, each with bytes of its own."""
    async with LocalStore.open(path) as store:
        return [
            await publication(store, {"artifacts.zip": f"{job}".encode()}, of=transfer(job, dest=dest))
            for job, dest in dests.items()
        ]


@contextmanager
def publisher_of(path: Path, sync: Syncer) -> Iterator[Publisher]:
    """A publisher on the store there."""
    with laid_out(path, Syncer()) as layout:
        yield Publisher(layout=layout, sync=sync)


def open_files() -> int:
    """Descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def look(path: Path, wanted: list[Publication]) -> list[bool]:
    """What the next start finds published."""
    async with LocalStore.open(path) as store:
        return [await store.has(each.transfer.dest, each.files) for each in wanted]


async def test_what_several_changed_is_synced_once(tmp_path):
    """The directory above them and staging; what is one's own is synced for each."""
    wanted = await staged(tmp_path, {job: f"a/b/{job}" for job in range(1, 9)})
    sync = Counting()
    with publisher_of(tmp_path, sync) as publisher:
        results = publisher.publish_all(wanted)
    assert all(isinstance(result, Published) for result in results)
    assert sync.seen["a new publication"] == 8
    assert sync.seen["staging"] == 1
    assert sum(count for what, count in sync.seen.items() if what.startswith("the directory of a/b/")) == 1
    assert await look(tmp_path, wanted) == [True] * 8


async def test_one_failing_fsync_fails_all_that_it_covers(tmp_path):
    """None of them is told to be published, and nothing more is published by this process."""
    wanted = await staged(tmp_path, {job: f"a/b/{job}" for job in range(1, 5)})
    sync = Counting("the directory of a/b/")
    with publisher_of(tmp_path, sync) as publisher:
        results = publisher.publish_all(wanted)
        assert [type(result) for result in results] == [StoreDamaged] * 4
        with pytest.raises(StoreDamaged, match="earlier fsync"):
            publisher.publish(wanted[0])
    async with LocalStore.open(tmp_path) as store:
        await store.sync()
        for each in wanted:
            await store.publish(each)
    assert await look(tmp_path, wanted) == [True] * 4


async def test_no_fsync_is_trusted_after_one_failed(tmp_path):
    """Others of the batch that have yet to be synced are not published either."""
    wanted = await staged(tmp_path, {1: "a/1", 2: "b/2"})
    with publisher_of(tmp_path, Counting("the directory of a/")) as publisher:
        results = publisher.publish_all(wanted)
    assert [type(result) for result in results] == [StoreDamaged] * 2


async def test_what_is_wrong_with_one_is_no_matter_of_the_others(tmp_path):
    """A missing part, a taken destination and an obstructed one among good ones."""
    wanted = await staged(tmp_path, {1: "a/1", 2: "a/2", 3: "a/3", 4: "link/4", 5: "a/5"})
    (tmp_path / "tree" / "link").symlink_to(tmp_path)
    (tmp_path / ".staging" / wanted[1].files[0].part).unlink()
    ghost = staged_file("artifacts.zip", b"ghost", "9-0.part")
    gone = Publication(transfer=transfer(9, dest="a/9"), files=(ghost,), at=wanted[0].at)
    with publisher_of(tmp_path, Counting()) as publisher:
        results = publisher.publish_all([*wanted, gone])
    kinds = ["Published", "Corrupt", "Published", "Obstructed", "Published", "Corrupt"]
    assert [type(result).__name__ for result in results] == kinds
    assert await look(tmp_path, wanted) == [True, False, True, False, True]


class Slow(Counting):
    """Each fsync takes a while; those of new publications wait for each other, all but the one that shows that it is slow."""

    def __init__(self, together: int, failing: str = "") -> None:
        super().__init__(failing)
        self.meeting = threading.Barrier(together, timeout=20)
        self._first = threading.Lock()

    def directory(self, fd: int, what: str) -> None:
        time.sleep(0.01)
        if what == "a new publication" and not self._first.acquire(blocking=False):
            self.meeting.wait()
        super().directory(fd, what)


async def test_on_a_slow_disk_several_are_synced_at_the_same_time(tmp_path):
    """A journal takes them with one commit."""
    wanted = await staged(tmp_path, {job: f"a/{job}" for job in range(1, 6)})
    sync = Slow(together=4)
    with publisher_of(tmp_path, sync) as publisher:
        results = publisher.publish_all(wanted)
    assert all(isinstance(result, Published) for result in results)
    assert sync.seen["a new publication"] == 5
    assert not sync.meeting.broken
    assert await look(tmp_path, wanted) == [True] * 5


async def test_one_of_several_slow_fsyncs_fails(tmp_path):
    """It is told to the one that it concerns, and nobody is published behind it."""
    wanted = await staged(tmp_path, {job: f"a/{job}" for job in range(1, 6)})
    with publisher_of(tmp_path, Slow(together=4, failing="a new publication")) as publisher:
        results = publisher.publish_all(wanted)
    assert [type(result) for result in results] == [StoreDamaged] * 5
    assert not (tmp_path / "tree" / "a" / "1").exists()


async def test_a_destination_above_another_in_one_batch(tmp_path):
    """Whichever of them is shown first, the other one is published into it or below it."""
    wanted = await staged(tmp_path, {1: "a/b", 2: "a/b/c", 3: "a/b/c/d", 4: "a/b/e"})
    with publisher_of(tmp_path, Counting()) as publisher:
        results = publisher.publish_all(wanted)
    assert all(isinstance(result, Published) for result in results)
    assert await look(tmp_path, wanted) == [True] * 4


async def test_many_at_once_through_the_store(tmp_path):
    """As workers publish: beside each other, two to each destination, all of them whole."""
    names = ("artifacts.zip", "job.log")
    async with LocalStore.open(tmp_path) as store:
        whole = [
            await publication(store, {name: f"{job}{name}".encode() for name in names}, of=transfer(job, names=names))
            for job in range(1, 21)
        ]
        wanted = [
            Publication(transfer=each.transfer, files=(file,), at=each.at) for each in whole for file in each.files
        ]
        async with anyio.create_task_group() as group:
            for each in wanted:
                group.start_soon(store.publish, each)
        for each in whole:
            assert await store.has(each.transfer.dest, each.files)
        assert await store.sweep(lambda _: False) == 0


async def test_more_directories_than_are_held_open(tmp_path):
    """Those that were asked for long ago are closed and opened again."""
    wanted = await staged(tmp_path, {job: f"{job}/a/b/c/{job}" for job in range(1, 41)})
    before = open_files()
    with publisher_of(tmp_path, Counting()) as publisher:
        results = publisher.publish_all(wanted)
    assert all(isinstance(result, Published) for result in results)
    assert open_files() == before
    assert await look(tmp_path, wanted) == [True] * 40

"""Room on the disk: who gets it, and whose failure it is when there is none."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import DoesNotFit, NoSpace
from artifact_sync.fetch.space import DiskReserve
from tests.unit.fetch.fetch_doubles import KIB, Answer, Bench, archive, entity, queued
from tests.zips import real_zip

MIB = KIB * KIB
MIN_FREE = 10 * MIB
BATCH = 64 * KIB
FILE = Item(kind="file", name="files/a", path="a")
ZIP = real_zip({"zeros": bytes(300_000)}, compression=0)


class Disk:
    """A disk of which downloads take what they write, and whose fullest moment is remembered."""

    def __init__(self, bench: Bench, free: int) -> None:
        self.size = free
        self.least = free
        bench.store.before_append = self.looked
        bench.store.free = self.free  # type: ignore[method-assign]  # this store has a disk
        self.bench = bench

    async def free(self) -> int:
        """What is left."""
        await anyio.lowlevel.checkpoint()
        return self.size - sum(self.bench.staging.values())

    async def looked(self, _part: object) -> None:
        """Before each write."""
        await anyio.lowlevel.checkpoint()
        self.least = min(self.least, await self.free() - BATCH)


def endless() -> Answer:
    """Bytes for ever, and no word of how many."""
    return Answer([bytes(BATCH)] * 100_000)


async def test_one_that_is_larger_than_the_disk_fails_alone(tmp_path):
    """It does not fit, which says nothing about the next."""
    bench = Bench(tmp_path, Answer([ZIP], total=10**18), entity(ZIP), min_free=MIN_FREE)
    Disk(bench, 100 * MIB)
    with pytest.raises(DoesNotFit):
        await bench.fetcher.fetch(queued(archive(10**18)))
    assert (await bench.fetcher.fetch(queued(archive(len(ZIP)), number=4)))[0].size == len(ZIP)


async def test_a_full_disk_concerns_everybody(tmp_path):
    """Below the reserve, or so little above it that nothing finds room."""
    bench = Bench(tmp_path, entity(ZIP), entity(ZIP), min_free=MIN_FREE)
    for free in (MIN_FREE - 1, MIN_FREE + MIB // 4):
        Disk(bench, free)
        with pytest.raises(NoSpace) as caught:
            await bench.fetcher.fetch(queued(archive(len(ZIP))))
        assert not isinstance(caught.value, DoesNotFit)


async def test_an_archive_of_unknown_size_ends_before_the_reserve(tmp_path):
    """Not after the next look at the disk; its bytes are thrown away and the next one fits."""
    bench = Bench(tmp_path, endless(), entity(ZIP), min_free=MIN_FREE)
    disk = Disk(bench, MIN_FREE + 21 * MIB)
    with pytest.raises(DoesNotFit):
        await bench.fetcher.fetch(queued(FILE))
    assert disk.least >= MIN_FREE
    assert sum(bench.store.appended) > 19 * MIB
    assert bench.staging == {}
    assert (await bench.fetcher.fetch(queued(archive(len(ZIP)), number=4)))[0].size == len(ZIP)


async def test_several_of_unknown_size_do_not_overrun_it_together(tmp_path):
    """Each one's growth is counted for all the others, and none of them is the disk's failure."""
    bench = Bench(tmp_path, *[endless() for _ in range(4)], min_free=MIN_FREE)
    disk = Disk(bench, MIN_FREE + 50 * MIB)
    outcomes: list[type[Exception]] = []

    async def fetch(number: int) -> None:
        try:
            await bench.fetcher.fetch(queued(FILE, number=number))
        except NoSpace as error:
            outcomes.append(type(error))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(fetch, number)
    assert outcomes == [DoesNotFit] * 4
    assert disk.least >= MIN_FREE
    assert bench.staging == {}


async def test_a_small_one_of_unknown_size_uses_the_last_room(tmp_path):
    """A whole step ahead is promised only where there is one."""
    bench = Bench(tmp_path, Answer([bytes(BATCH)] * 16), min_free=MIN_FREE)
    Disk(bench, MIN_FREE + 3 * MIB)
    (staged,) = await bench.fetcher.fetch(queued(FILE))
    assert staged.size == 16 * BATCH


async def test_what_is_promised_to_a_stream_is_given_back(tmp_path):
    """A claim that ends leaves nothing behind."""
    bench = Bench(tmp_path, min_free=0)
    Disk(bench, 10 * MIB)
    reserve = DiskReserve(bench.store, min_free=MIB)
    for _ in range(5):
        with await reserve.claim(None) as claim:
            await claim.receive(5 * MIB)
            claim.written(5 * MIB)
            await claim.check()
    await reserve.claim(9 * MIB)
    with pytest.raises(DoesNotFit):
        await reserve.claim(1)

"""What a few files of a large archive cost, counted in bytes on the wire."""

from __future__ import annotations

import random

import pytest

from artifact_sync.core.archive import members
from artifact_sync.core.archive_end import TAIL, locate
from artifact_sync.simulator import World
from artifact_sync.simulator.archives import Archive
from artifact_sync.simulator.world import Delivery
from tests.integration.fetch.files_harness import scene_of, written

KIB, MIB = 1 << 10, 1 << 20
BLOCK = random.Random(7).randbytes(100 * KIB)


def large(size: int) -> tuple[Archive, int]:
    """An archive of about so many bytes in members of 100 KiB, and how many there are."""
    count = size // len(BLOCK)
    files = {f"data/{number:06}.bin": (lambda n=number: content(n)) for number in range(count)}
    return written(files, stored=True, on_disk=True), count


def content(number: int) -> bytes:
    """What is in that member."""
    return number.to_bytes(8, "big") + BLOCK[8:]


def directory_size(archive: Archive) -> int:
    """Bytes of its directory."""
    data = archive.content
    return locate(data.read(max(0, data.size - TAIL), TAIL), data.size).directory_size


async def one_in_a_hundred(tmp_path, size: int, delivery: Delivery) -> None:
    """Every hundredth member by a glob: the bytes on the wire are theirs and the directory's, and hardly any more."""
    archive, count = large(size)
    async with scene_of(tmp_path, archive, world=World(delivery=delivery)) as scene:
        found = await scene.fetch("data/*00.bin")

        assert found == {f"files/data/{number:06}.bin": content(number) for number in range(0, count, 100)}
        assert scene.ways == ["ranges of the archive"]
        needed = sum(map(len, found.values())) + directory_size(archive)
        assert needed <= scene.wire.received <= 1.05 * needed
        (chosen,) = scene.told("files.chosen")
        assert (chosen["requests"], chosen["bytes"] <= 1.05 * needed) == (len(found), True)


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_one_in_a_hundred_of_200_mib(tmp_path, delivery):
    """From disk, behind a redirect, and through a proxy."""
    await one_in_a_hundred(tmp_path, 200 * MIB, delivery)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("delivery", [Delivery.LOCAL, Delivery.REDIRECT])
async def test_one_in_a_hundred_of_1_gib(tmp_path, delivery):
    """The same of an archive that takes a while."""
    await one_in_a_hundred(tmp_path, 1 << 30, delivery)


async def test_files_that_lie_together_are_one_range(tmp_path):
    """A folder of an archive is read at once."""
    archive, _ = large(20 * MIB)
    async with scene_of(tmp_path, archive) as scene:
        found = await scene.fetch("data/00010?.bin", "data/00010[5-9].bin")

        assert len(found) == 10
        assert scene.asked() == [206, 206]


async def test_gitlab_is_asked_once_where_the_ranges_are_elsewhere(tmp_path):
    """All further ranges are asked for where it redirected the first one to."""
    archive, _ = large(20 * MIB)
    async with scene_of(tmp_path, archive, world=World(delivery=Delivery.REDIRECT)) as scene:
        found = await scene.fetch("data/*00.bin")

        assert len(found) == 3
        assert scene.asked("/jobs/1001/artifacts") == [302]
        assert scene.asked("artifacts.zip") == [206] * 4


async def test_so_many_pieces_that_the_whole_is_cheaper(tmp_path):
    """Every second file of a thousand small ones would take five hundred requests."""
    files = {f"{number:04}": BLOCK[:10_000] for number in range(1000)}
    async with scene_of(tmp_path, written(files, stored=True, on_disk=True)) as scene:
        found = await scene.fetch("*[02468]")

        assert len(found) == 500
        assert scene.ways == ["whole archive"]
        assert "cost more than the archive" in scene.closed["ranges of the archive"]
        assert scene.asked() == [206, 206, 200]


def test_the_archive_of_these_tests_is_as_large_as_it_says():
    """Otherwise nothing would be measured."""
    archive, count = large(20 * MIB)
    data = archive.content
    end = locate(data.read(data.size - TAIL, TAIL), data.size)

    assert len(list(members(data.read(end.directory_offset, end.directory_size), end))) == count
    assert data.size >= 20 * MIB - len(BLOCK)

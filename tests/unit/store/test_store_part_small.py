"""Small parts have no file until they are finished, and are finished several at once."""

from __future__ import annotations

import hashlib
import os
import random
import shutil

import anyio
import pytest

from artifact_sync.errors import NoSpace, StoreDamaged, StoreError
from artifact_sync.store import LocalStore
from tests.storage import staged_file

DATA = random.Random(5).randbytes(3_000_000)
SMALL = 10_000


async def test_a_small_part_becomes_a_file_when_it_is_finished(store, staging):
    """Read-only then, with the bytes that were given, whatever became of the buffers since."""
    part = await store.part("1-0.part", expected=SMALL)
    buffer = bytearray(DATA[:100])
    await part.append(buffer, memoryview(DATA)[100:200])
    buffer[:] = bytes(100)
    await part.append(DATA[200:SMALL])
    assert (part.size, part.in_memory, list(staging.iterdir())) == (SMALL, True, [])
    with part.reader() as reader:
        assert reader.read() == DATA[:SMALL]

    assert await part.finish() == (hashlib.sha256(DATA[:SMALL]).hexdigest(), SMALL)
    path = staging / "1-0.part"
    assert (path.read_bytes(), path.stat().st_mode & 0o222, part.in_memory) == (DATA[:SMALL], 0, False)
    with part.reader() as reader:
        assert reader.read() == DATA[:SMALL]
    with pytest.raises(StoreError, match="closed"):
        await part.append(b"more")


async def test_more_than_was_expected_goes_to_the_disk(store, staging):
    """What was held comes first, and memory stays bounded."""
    part = await store.part("1-0.part", expected=SMALL)
    for at in range(0, len(DATA), 300_000):
        await part.append(DATA[at : at + 300_000])
        assert part.in_memory == (part.size <= 1 << 20)
    assert (staging / "1-0.part").stat().st_mode & 0o777 == 0o600
    assert await part.finish() == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert (staging / "1-0.part").read_bytes() == DATA


@pytest.mark.parametrize("expected", [None, 2 << 20])
async def test_what_may_be_large_has_a_file_from_the_start(store, staging, expected):
    """As has one whose size nobody knows."""
    part = await store.part("1-0.part", expected=expected)
    await part.append(b"x")
    assert not part.in_memory
    assert (staging / "1-0.part").read_bytes() == b"x"
    await part.close()


async def test_what_a_stop_leaves_can_be_continued(store, staging):
    """A checkpoint and a close make a file of what is held."""
    part = await store.part("1-0.part", expected=SMALL)
    await part.append(DATA[:4000])
    assert await part.checkpoint() == 4000
    await part.append(DATA[4000:5000])
    await part.close()
    assert (staging / "1-0.part").read_bytes() == DATA[:5000]
    other = await store.part("2-0.part", expected=SMALL)
    await other.append(DATA[:10])
    await other.close()
    assert (staging / "2-0.part").read_bytes() == DATA[:10]

    part = await store.part("1-0.part", keep=4000, expected=SMALL)
    assert part.size == 4000
    await part.append(DATA[4000:SMALL])
    assert await part.finish() == (hashlib.sha256(DATA[:SMALL]).hexdigest(), SMALL)


async def test_bytes_ahead_of_a_small_part(store, staging):
    """What is placed behind a gap goes to the disk, behind what was held."""
    part = await store.part("1-0.part", expected=SMALL)
    await part.append(DATA[:1000])
    await part.place(3000, DATA[3000:SMALL])
    await part.append(DATA[1000:3000])
    await part.adopt(SMALL)
    assert await part.finish() == (hashlib.sha256(DATA[:SMALL]).hexdigest(), SMALL)


async def test_a_discarded_or_restarted_small_part_keeps_nothing(store, staging):
    """Nor what an earlier run left under its name."""
    (staging / "1-0.part").write_bytes(b"earlier")
    part = await store.part("1-0.part", expected=SMALL)
    await part.append(b"wrong")
    await part.restart()
    assert part.size == 0
    await part.append(b"right")
    assert (await part.finish())[0] == staged_file("x", b"right", "").sha256
    await part.discard()
    dropped = await store.part("2-0.part", expected=SMALL)
    await dropped.append(b"x")
    await dropped.discard()
    assert list(staging.iterdir()) == []
    with pytest.raises(StoreError):
        await dropped.finish()


async def test_nothing_is_written_through_what_lies_under_its_name(store, staging, tmp_path):
    """Neither a symbolic link nor a hard one."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    (staging / "1-0.part").symlink_to(victim)
    (staging / "2-0.part").hardlink_to(victim)
    for name in ("1-0.part", "2-0.part"):
        part = await store.part(name, expected=SMALL)
        await part.append(b"evil")
        await part.finish()
    assert victim.read_bytes() == b"victim"


async def test_many_are_finished_beside_each_other_and_one_failure_is_its_own(store, staging):
    """A directory stands in one's way; the others are whole."""
    (staging / "7-0.part").mkdir()
    results: dict[int, tuple[str, int] | StoreError] = {}

    async def bring(number: int) -> None:
        content = DATA[number : number + SMALL]
        part = await store.part(f"{number}-0.part", expected=SMALL)
        await part.append(content)
        try:
            results[number] = await part.finish()
        except StoreError as error:
            results[number] = error

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(bring, number)
    assert isinstance(results.pop(7), StoreError)
    assert results == {
        number: (hashlib.sha256(DATA[number : number + SMALL]).hexdigest(), SMALL)
        for number in range(20)
        if number != 7
    }


async def test_no_small_part_below_the_reserve_or_without_a_store(tmp_path):
    """It is noticed when it is written, before anything is told to be durable; and nothing is left of it."""
    async with LocalStore.open(tmp_path / "full", min_free=1 << 62) as store:
        part = await store.part("1-0.part", expected=1)
        await part.append(b"x")
        with pytest.raises(NoSpace, match="min_free"):
            await part.finish()
        await part.discard()
        assert list((tmp_path / "full" / ".staging").iterdir()) == []
    async with LocalStore.open(tmp_path / "gone") as store:
        part = await store.part("1-0.part", expected=1)
        await part.append(b"x")
        shutil.rmtree(tmp_path / "gone")
        with pytest.raises(StoreDamaged, match="not the one that was opened"):
            await part.finish()


async def test_a_small_part_after_the_store_is_closed(tmp_path):
    """It is refused, and no descriptor of somebody else's is written to."""
    async with LocalStore.open(tmp_path) as store:
        part = await store.part("1-0.part", expected=1)
        await part.append(b"x")
    with pytest.raises(StoreError, match="closed"):
        await part.finish()
    assert os.listdir(tmp_path / ".staging") == []  # noqa: PTH208 - names are enough

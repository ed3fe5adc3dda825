"""Bytes written ahead of the prefix: hashed as one file once the gap is closed, and cut off where it never is."""

import hashlib
import random

import pytest

from artifact_sync.errors import StoreDamaged
from artifact_sync.store import LocalStore

DATA = random.Random(3).randbytes(3_000_000)


async def test_what_was_placed_ahead_is_hashed_in_the_order_of_the_file(tmp_path):
    """Placed behind a gap, the gap appended in chunks, then adopted: size and checksum are those of the whole."""
    async with LocalStore.open(tmp_path / "store", min_free=0) as store:
        part = await store.part("1-0.part")
        await part.place(1_000_000, DATA[1_000_000:1_500_000], DATA[1_500_000:2_000_000])
        assert part.size == 0
        await part.append(DATA[:600_000], b"", DATA[600_000:1_000_000])
        await part.adopt(2_000_000)
        await part.append(DATA[2_000_000:])

        assert await part.finish() == (hashlib.sha256(DATA).hexdigest(), len(DATA))
        assert (tmp_path / "store" / ".staging" / "1-0.part").read_bytes() == DATA


async def test_more_chunks_than_one_call_takes(tmp_path):
    """A batch of two thousand small chunks is one batch."""
    async with LocalStore.open(tmp_path / "store", min_free=0) as store:
        part = await store.part("1-0.part")
        await part.append(*(DATA[at : at + 1000] for at in range(0, 2_000_000, 1000)))

        assert await part.finish() == (hashlib.sha256(DATA[:2_000_000]).hexdigest(), 2_000_000)


async def test_what_is_left_ahead_is_no_part_of_the_file(tmp_path):
    """A finished part ends where its checksum ends."""
    async with LocalStore.open(tmp_path / "store", min_free=0) as store:
        part = await store.part("1-0.part")
        await part.append(DATA[:1000])
        await part.place(5000, DATA[5000:9000])
        _, size = await part.finish()

        assert size == 1000
        assert (tmp_path / "store" / ".staging" / "1-0.part").stat().st_size == 1000


async def test_what_was_never_written_is_not_adopted(tmp_path):
    """A file that is shorter than it must be is damage."""
    async with LocalStore.open(tmp_path / "store", min_free=0) as store:
        part = await store.part("1-0.part")
        await part.append(DATA[:1000])
        with pytest.raises(StoreDamaged, match="ends at 1000"):
            await part.adopt(2000)


async def test_whoever_watches_sees_each_byte_of_the_prefix_once(tmp_path):
    """What is appended and what is adopted is shown in the order of the file; what is only placed is not."""
    async with LocalStore.open(tmp_path / "store", min_free=0) as store:
        part = await store.part("1-0.part")
        seen = bytearray()
        part.watch = seen.extend
        await part.place(1_000_000, DATA[1_000_000:2_000_000])
        assert not seen
        await part.append(DATA[:400_000], DATA[400_000:1_000_000])
        await part.adopt(1_500_000)
        await part.adopt(2_000_000)
        await part.append(DATA[2_000_000:])

        assert seen == DATA

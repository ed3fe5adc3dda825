"""Large batches are hashed and watched while they are written."""

from __future__ import annotations

import hashlib
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from artifact_sync.errors import StoreError
from artifact_sync.store import LocalStore
from artifact_sync.store.alongside import alongside

MIB = 1 << 20


@pytest.fixture
async def part(tmp_path):
    """A new part that is a file from the start."""
    async with LocalStore.open(tmp_path) as store:
        yield await store.part("1-0.part")


def chunks(content: bytes) -> list[bytes]:
    """As a network brings them."""
    luck = random.Random(7)
    found = []
    while content:
        size = luck.choice([1, 4096, 65_536, 300_000])
        found.append(content[:size])
        content = content[size:]
    return found


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process can become larger (setrlimit(2), RLIMIT_FSIZE)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_everything_is_hashed_and_watched_in_order(part):
    """Whatever the sizes of batches and chunks."""
    content = random.Random(1).randbytes(5 * MIB + 12_345)
    seen = bytearray()
    part.watch = seen.extend
    for start in range(0, len(content), 2 * MIB):
        await part.append(*chunks(content[start : start + 2 * MIB]))
    assert bytes(seen) == content
    assert await part.finish() == (hashlib.sha256(content).hexdigest(), len(content))


async def test_a_batch_that_is_cut_short_is_hashed_as_far_as_it_was_written(part):
    """So that its rest can be appended later."""
    content = random.Random(2).randbytes(3 * MIB)
    seen = bytearray()
    part.watch = seen.extend
    with largest_file(MIB + 5000), pytest.raises(StoreError):
        await part.append(*chunks(content))
    assert part.size == len(seen) == MIB + 5000
    await part.append(*chunks(content[part.size :]))
    assert bytes(seen) == content
    assert await part.finish() == (hashlib.sha256(content).hexdigest(), len(content))


def test_all_is_shown_when_the_block_ends_with_an_error():
    """The piece before the error, too."""
    shown = []

    def write() -> None:
        with alongside(lambda piece: shown.append(bytes(piece))) as show:
            show(memoryview(b"one"))
            show(memoryview(b"two"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert shown == [b"one", b"two"]


def test_an_error_of_who_is_shown_comes_out():
    """It is not lost in the other thread."""

    def refuse(_: memoryview) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), alongside(refuse) as show:
        show(memoryview(b""))

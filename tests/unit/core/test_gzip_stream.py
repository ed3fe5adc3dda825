"""Gzip data proves itself, however it is cut into blocks, and costs no more memory than a step is allowed."""

import gzip

import pytest

from artifact_sync.core.archive_inflate import UNPACKED
from artifact_sync.core.gzip_stream import GzipStream
from artifact_sync.errors import Corrupt

TEXT = b"a line of a report\n" * 5000
PACKED = gzip.compress(TEXT, mtime=0)


def inflated(data: bytes, block: int) -> list[int]:
    stream = GzipStream()
    steps = [step for at in range(0, len(data), block) for step in stream.feed(data[at : at + block])]
    return [*steps, *stream.end()]


@pytest.mark.parametrize("block", [1, 7, len(PACKED), 10 * len(PACKED)])
@pytest.mark.parametrize("members", [1, 3])
def test_whole_data_inflates_to_all_of_it(block, members):
    """One member or several, in blocks of any size (RFC 1952 section 2.2)."""
    assert sum(inflated(PACKED * members, block)) == members * len(TEXT)


def test_no_step_gives_more_than_it_may():
    """A bomb of 64 MiB comes in small pieces."""
    steps = inflated(gzip.compress(bytes(64 << 20), mtime=0), 1 << 20)
    assert max(steps) <= UNPACKED
    assert sum(steps) == 64 << 20


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut off"),
        (PACKED[:-1], "cut off"),
        (PACKED[: len(PACKED) // 2], "cut off"),
        (PACKED + PACKED[:12], "cut off"),
        (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "not gzip data"),
        (PACKED[:-1] + bytes([PACKED[-1] ^ 1]), "not gzip data"),
        (PACKED + b"<html>", "not gzip data"),
        (b"<html>sign in</html>", "not gzip data"),
    ],
    ids=["nothing", "short", "half", "second cut", "CRC", "length", "more", "page"],
)
def test_anything_else_is_corrupt(data, says):
    """Cut, changed, or followed by what belongs to nothing."""
    with pytest.raises(Corrupt, match=says):
        inflated(data, 100)

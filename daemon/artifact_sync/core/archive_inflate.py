"""A member's packed bytes, fed as they come, become its content, compared with what the directory says of it.

The work of each step is bounded: no call into zlib gives more than ``UNPACKED`` bytes, whatever is fed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from artifact_sync.core.archive import DEFLATED, Member
from artifact_sync.core.crc_blocks import BLOCK, following
from artifact_sync.errors import Corrupt

__all__ = ["UNPACKED", "Unpacking", "check_content"]

#: The most bytes that come out at once.
UNPACKED = 256 * 1024


def check_content(member: Member, *, size: int, crc: int) -> None:
    """Raise Corrupt unless what a member unpacks to is what the directory says."""
    if size != member.size:
        raise Corrupt(f"member {member.name!r} has {size} bytes, the directory says {member.size}")
    if crc != member.crc:
        raise Corrupt(f"member {member.name!r} has CRC {crc:08x}, the directory says {member.crc:08x}")


class Unpacking:
    """Unpacks one member, stored or deflated. Never more than the member's size comes out."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._crc = 0
        self._size = 0
        # Some writers call empty members deflated and write nothing at all for them.
        inflates = member.method == DEFLATED and member.compressed_size > 0
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS) if inflates else None

    def feed(self, block: bytes) -> Iterator[bytes]:
        """What a block of the packed bytes gives; to be exhausted before the next one.

        Raises Corrupt for what is not deflated data, goes on behind its end, or unpacks to more than the member's size.
        """
        if self._stream is None:
            yield self._counted(block)
            return
        while block and not self._stream.eof:
            yield self._counted(self._inflated(block))
            block = self._stream.unconsumed_tail
        if block or self._stream.unused_data:
            raise Corrupt(f"member {self._member.name!r} is followed by bytes that belong to nothing")

    def passed(self, blocks: Iterable[int]) -> int:
        """Blocks of a stored member that are known by their CRCs (``crc_blocks``); how many bytes they are."""
        before = self._size
        for crc in blocks:
            self._crc = following(self._crc, crc)
            self._size += BLOCK
        return self._size - before

    def end(self) -> Iterator[bytes]:
        """What is left once everything was fed. Raises Corrupt, at the latest when exhausted: it is cut off, size, CRC."""
        # What one call was not allowed to give stays inside zlib when its input is used up.
        while self._stream is not None and not self._stream.eof:
            unpacked = self._inflated(b"")
            if not unpacked and not self._stream.eof:
                raise Corrupt(f"member {self._member.name!r} is cut off: its deflated data does not end")
            yield self._counted(unpacked)
        check_content(self._member, size=self._size, crc=self._crc)

    def _counted(self, unpacked: bytes) -> bytes:
        self._size += len(unpacked)
        if self._size > self._member.size:
            raise Corrupt(f"member {self._member.name!r} unpacks to more than the {self._member.size} bytes it says")
        self._crc = zlib.crc32(unpacked, self._crc)
        return unpacked

    def _inflated(self, block: bytes) -> bytes:
        assert self._stream is not None  # noqa: S101 - both callers look first
        try:
            return self._stream.decompress(block, UNPACKED)
        except zlib.error as error:
            raise Corrupt(f"member {self._member.name!r} is not deflated data: {error}") from error

"""A zip's members unpacked while the archive comes, so that it need not be read a second time for their CRCs.

What is noted here are facts about bytes: those from here to there, unpacked in this way, are so many with that CRC. Whether
they are a member's, only the directory tells, which comes last; ``content`` answers for exactly the stretch and the method
that it names, and whoever asks reads everything else from the file. So nothing that is followed wrongly, or not at all,
makes a wrong archive right.

Where a member is stored, and its length comes behind it, nobody can tell where it ends before the directory is here. From
there on the CRCs of blocks are noted, of which ``crc_blocks`` makes that of any stretch between them.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from artifact_sync.core.archive import DEFLATED, Member
from artifact_sync.core.archive_inflate import UNPACKED
from artifact_sync.core.archive_local import DESCRIPTOR, DESCRIPTOR_SIGNATURE, HEADER, described, descriptor_length
from artifact_sync.core.crc_blocks import BLOCK
from artifact_sync.errors import Corrupt

__all__ = ["Arriving", "Content"]

#: Members noted, 33 bytes each; blocks noted, 4 bytes each.
_MOST, _MOST_BLOCKS = 100_000, 1 << 20
#: Stored members without a length before them that are looked for the end of: a symbolic link holds a path (PATH_MAX).
_SHORT = 4096
#: Blocks told of at once.
_TOLD = 4096
#: What one block may unpack to, in times its size, and in bytes if that is more: whoever writes it waits meanwhile.
_TIMES, _LEAST = 16, 1 << 20
#: Packed bytes inflated at once; what follows a member among them is copied.
_PACKED = 16 << 10
_MAX32 = 0xFFFFFFFF


class Content(NamedTuple):
    """What a stretch of the file unpacks to: bytes, and their CRC-32."""

    size: int
    crc: int


class Arriving:
    """Follows an archive from its first byte on, for as long as the headers before its members say how.

    It ends at the first member that is neither stored nor deflated or unpacks to many times its size, and at the directory.
    """

    def __init__(self) -> None:
        """Nothing has come."""
        #: Where in the file the next byte stands.
        self._at = 0
        self._block = self._returned = memoryview(b"")
        self._left = 0
        self._begins, self._ends, self._sizes, self._crcs = array("Q"), array("Q"), array("Q"), array("Q")
        self._methods = bytearray()
        self._first_block = 0
        self._blocks = array("I")
        self._walk: Generator[None, None, None] | None = self._members()

    def update(self, block: bytes | memoryview) -> None:
        """The next bytes of the file, looked at before this returns. What cannot be followed raises nothing."""
        if self._walk is None:
            return
        self._block = memoryview(block)
        self._left = max(_LEAST, _TIMES * len(block))
        try:
            next(self._walk)
        except (Corrupt, StopIteration, zlib.error):
            self._walk = None
        self._block = memoryview(b"")

    def content(self, begins: int, ends: int, method: int) -> Content | None:
        """What the bytes from ``begins`` to ``ends`` unpack to, all of them; None: that is not known here."""
        at = bisect_left(self._begins, begins)
        if at == len(self._begins) or (self._begins[at], self._ends[at], self._methods[at]) != (begins, ends, method):
            return None
        return Content(self._sizes[at], self._crcs[at])

    def blocks(self, begins: int, ends: int) -> Sequence[int]:
        """CRCs of the whole blocks from ``begins``, a multiple of ``BLOCK``, up to ``ends``; the first ones of them, or none."""
        first = begins // BLOCK - self._first_block
        if begins % BLOCK or first < 0:
            return ()
        return self._blocks[first : min(first + _TOLD, ends // BLOCK - self._first_block)]

    def _members(self) -> Generator[None, None, None]:
        """Goes on with each block, and ends where the archive cannot be followed any further."""
        while len(self._begins) < _MOST:
            found = described((yield from self._exactly(HEADER)))
            if found is None:
                return
            member, behind = found
            yield from self._exactly(behind)
            begins = self._at
            if not member.testable:
                return
            if member.method == DEFLATED and (member.compressed_size or member.has_descriptor):
                size, crc = yield from self._inflated()
            elif member.compressed_size == _MAX32:
                return
            elif member.has_descriptor:
                short = yield from self._short(member)
                if short is None:
                    yield from self._each_block()
                    return
                size, crc = short
            else:
                size, crc = yield from self._stored(member.compressed_size)
            self._note(begins, member.method, size, crc)
            if member.has_descriptor:
                member = replace(member, crc=crc, compressed_size=self._at - begins, size=size)
                # The directory and the end record alone are longer.
                descriptor = yield from self._exactly(DESCRIPTOR)
                self._give_back(descriptor[descriptor_length(descriptor, member) :])

    def _note(self, begins: int, method: int, size: int, crc: int) -> None:
        self._begins.append(begins)
        self._ends.append(self._at)
        self._sizes.append(size)
        self._crcs.append(crc)
        self._methods.append(method)

    def _stored(self, left: int) -> Generator[None, None, Content]:
        size, crc = left, 0
        while left:
            block = yield from self._some(left)
            crc = zlib.crc32(block, crc)
            left -= len(block)
        return Content(size, crc)

    def _short(self, member: Member) -> Generator[None, None, Content | None]:
        """A stored member that ends soon, where its descriptor stands; None: it does not."""
        begun = yield from self._exactly(_SHORT + DESCRIPTOR)
        at = begun.find(DESCRIPTOR_SIGNATURE)
        while 0 <= at <= _SHORT:
            content = Content(at, zlib.crc32(memoryview(begun)[:at]))
            found = replace(member, crc=content.crc, compressed_size=at, size=at)
            with suppress(Corrupt):
                if descriptor_length(begun[at : at + DESCRIPTOR], found):
                    self._give_back(begun[at:])
                    return content
            at = begun.find(DESCRIPTOR_SIGNATURE, at + 1)
        self._give_back(begun)
        return None

    def _each_block(self) -> Generator[None, None, None]:
        left = -self._at % BLOCK
        while left:
            left -= len((yield from self._some(left)))
        self._first_block = self._at // BLOCK
        while len(self._blocks) < _MOST_BLOCKS:
            _, crc = yield from self._stored(BLOCK)
            self._blocks.append(crc)

    def _inflated(self) -> Generator[None, None, Content]:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        size = crc = 0
        while not stream.eof:
            packed: bytes | memoryview = yield from self._some(_PACKED)
            while packed and not stream.eof:
                unpacked = stream.decompress(packed, UNPACKED)
                packed = stream.unconsumed_tail
                size += len(unpacked)
                crc = zlib.crc32(unpacked, crc)
                self._left -= len(unpacked)
                if self._left < 0:
                    raise Corrupt("more than can be unpacked while the archive comes")
        self._give_back(stream.unused_data)
        return Content(size, crc)

    def _exactly(self, size: int) -> Generator[None, None, bytes]:
        found = bytearray()
        while len(found) < size:
            found += yield from self._some(size - len(found))
        return bytes(found)

    def _some(self, most: int) -> Generator[None, None, memoryview]:
        while not self._returned and not self._block:
            yield
        if self._returned:
            found, self._returned = self._returned[:most], self._returned[most:]
        else:
            found, self._block = self._block[:most], self._block[most:]
        self._at += len(found)
        return found

    def _give_back(self, rest: bytes) -> None:
        """The last bytes that were taken, to be taken again."""
        self._returned = memoryview(rest + bytes(self._returned))
        self._at -= len(rest)

"""Which bytes of a zip archive have to be read for some of its members, and in how few requests.

A member's bytes begin with its local header, whose length the directory does not tell; so they are taken to end where the
next member begins (PKWARE APPNOTE.TXT 6.3.10, section 4.3.6: records follow each other).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from artifact_sync.core.archive import Member, in_file_order
from artifact_sync.core.archive_end import TAIL, End, locate
from artifact_sync.core.archive_local import DESCRIPTOR, HEADER
from artifact_sync.errors import Corrupt

__all__ = ["FIRST_TAIL", "GAP", "MOST", "WASTE", "Extent", "Range", "extents", "located", "ranges"]

#: Bytes of an archive's end that are read first: end records and the directory of a hundred members or two.
FIRST_TAIL = 16 * 1024
#: Bytes that are rather read and thrown away than asked around.
GAP = 256 * 1024
#: What is thrown away in all stays below this share of what is wanted.
WASTE = 1 / 32
#: Bytes of a range of several members.
MOST = 64 * 1024 * 1024
#: A zip64 end record's locator stands before the end record.
_LOCATOR = 20
_LONGEST_EXTRA = 0xFFFF


class Extent(NamedTuple):
    """A member with all that belongs to it: header, packed bytes, data descriptor."""

    member: Member
    #: The byte behind it.
    stop: int

    @property
    def start(self) -> int:
        """Its first byte."""
        return self.member.header_offset


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes to be read at once: the extents lie in it one behind the other."""

    extents: tuple[Extent, ...]

    @property
    def start(self) -> int:
        """The first byte."""
        return self.extents[0].start

    @property
    def stop(self) -> int:
        """The byte behind the last one."""
        return self.extents[-1].stop

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


def located(tail: bytes, size: int) -> End | None:
    """As ``archive_end.locate``, also with fewer of the last bytes; None: they do not tell, read ``TAIL``.

    Raises Corrupt where more bytes would not help.
    """
    enough = len(tail) >= min(size, TAIL)
    try:
        end = locate(tail, size)
    except Corrupt:
        if enough:
            raise
        return None
    # Only with the bytes before the end record is it known that no zip64 locator stands there.
    seen = end.directory_offset + end.directory_size - (size - len(tail))
    return end if enough or seen >= _LOCATOR else None


def extents(directory: bytes, end: End) -> Iterator[Extent]:
    """Every member with its extent, in the file's order. Raises Corrupt as ``in_file_order``."""
    before: Member | None = None
    for member in in_file_order(directory, end):
        if before is not None:
            yield _extent(before, member.header_offset)
        before = member
    if before is not None:
        yield _extent(before, end.directory_offset)


def _extent(member: Member, following: int) -> Extent:
    # Bytes between two members that belong to neither are not read, however many they are.
    name = len(member.raw_name)
    most = member.header_offset + HEADER + name + _LONGEST_EXTRA + member.compressed_size + DESCRIPTOR
    return Extent(member, min(following, most))


def ranges(wanted: Sequence[Extent]) -> tuple[Range, ...]:
    """Ranges that cover the extents, which stand in the file's order, and little besides.

    Two of them become one where they touch, or where what lies between costs less than another request; the smallest such
    gaps first, as long as all of them together stay below ``WASTE`` of what is wanted. No range of several is larger than
    ``MOST``.
    """
    spare = int(sum(extent.stop - extent.start for extent in wanted) * WASTE)
    gaps = sorted((later.start - earlier.stop, at) for at, (earlier, later) in enumerate(pairwise(wanted), start=1))
    bridged = set()
    for gap, at in gaps:
        if gap > min(spare, GAP):
            break
        spare -= gap
        bridged.add(at)
    found: list[list[Extent]] = []
    for at, extent in enumerate(wanted):
        if at in bridged and extent.stop - found[-1][0].start <= MOST:
            found[-1].append(extent)
        else:
            found.append([extent])
    return tuple(Range(tuple(run)) for run in found)

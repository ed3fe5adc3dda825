"""A zip archive's directory: its members and whether they can be where they say they are.

What the directory says is believed by nobody here: the bytes of each member are compared with it by the reader of the
file, which uses ``archive_local`` for the header before the bytes and the descriptor after them.

Format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.12 and 4.5.3. What GitLab Runner writes: Go's archive/zip, stored or
deflated, directories and symbolic links included, data descriptors, UTF-8 names.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from itertools import pairwise
from struct import Struct as Layout

from msgspec import Struct

from artifact_sync.core.archive_end import End
from artifact_sync.errors import Corrupt

__all__ = ["DEFLATED", "STORED", "Member", "in_file_order", "members"]

STORED = 0
DEFLATED = 8

_ENTRY = Layout("<4s6H3L5H2L")
_ENTRY_SIGNATURE = b"PK\x01\x02"
#: The least a member takes before the directory: its local header.
_LOCAL_HEADER = 30
_ZIP64_EXTRA = 0x0001
_EXTRA = Layout("<2H")
_MAX32 = 0xFFFFFFFF
#: Unix and macOS: where the attributes hold a mode (APPNOTE 4.4.2).
_MADE_ON_UNIX = frozenset({3, 19})
_ENCRYPTED = 0x0001
_DESCRIPTOR = 0x0008
_PATCHED = 0x0020
_STRONG = 0x0040
_UTF8 = 0x0800
_MASKED = 0x2000
#: Members sorted in one call, so that no call holds the interpreter for long.
_SORTED_AT_ONCE = 20_000


class Member(Struct, frozen=True, kw_only=True, gc=False):
    """One entry of the directory. Sizes and offsets are bytes."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    #: Where its local header stands in the file.
    header_offset: int
    #: Unix mode with file type, or 0 where the archive was made on neither Unix nor macOS.
    mode: int

    @property
    def name(self) -> str:
        """The name as text: UTF-8 where flagged, else code page 437 as the format says. Bad UTF-8 shows escaped."""
        return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437", "backslashreplace")

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory: its name ends in a slash."""
        return self.raw_name.endswith(b"/")

    @property
    def is_utf8(self) -> bool:
        """Whether its name is said to be UTF-8."""
        return bool(self.flags & _UTF8)

    @property
    def is_locked(self) -> bool:
        """Whether it is encrypted, its header masked, or a patch of something else: nothing of it can be read."""
        return bool(self.flags & (_ENCRYPTED | _PATCHED | _STRONG | _MASKED))

    @property
    def has_descriptor(self) -> bool:
        """Whether CRC and sizes follow the bytes, because they were not known when the header was written."""
        return bool(self.flags & _DESCRIPTOR)

    @property
    def testable(self) -> bool:
        """Whether its CRC can be computed: stored or deflated, and neither encrypted nor a patch."""
        return self.method in {STORED, DEFLATED} and not self.flags & (_ENCRYPTED | _PATCHED)


def members(directory: bytes, end: End) -> Iterator[Member]:
    """The members as the directory lists them.

    Raises Corrupt, at the latest when exhausted: an entry that is cut off or says something impossible, a member
    beyond the directory, and a number of entries other than the end record's.
    """
    for _, member in _entries(directory, end):
        yield member


def in_file_order(directory: bytes, end: End) -> Iterator[Member]:
    """The members as they follow each other in the file, each behind the one before, the first at byte 0.

    Writers list them in that order anyway. What is held beside the directory is two numbers for each. Raises Corrupt as
    ``members`` does, before the first one; and for members that share bytes, at the second of them: many that share
    the same bytes are a small file that unpacks to a huge one (CVE-2024-0450).
    """
    offsets, positions = array("Q"), array("Q")
    for position, member in _entries(directory, end):
        positions.append(position)
        offsets.append(member.header_offset)
    order: Iterator[int] = iter(range(len(offsets)))
    if any(later < earlier for earlier, later in pairwise(offsets)):
        key = offsets.__getitem__
        runs = (range(at, min(at + _SORTED_AT_ONCE, len(offsets))) for at in range(0, len(offsets), _SORTED_AT_ONCE))
        order = heapq.merge(*(sorted(run, key=key) for run in runs), key=key)
    taken = 0
    for index in order:
        member, _ = _entry(directory, positions[index], end)
        if not taken and member.header_offset:
            raise Corrupt(f"{member.header_offset} bytes stand before the first member of the zip, {member.name!r}")
        if member.header_offset < taken:
            raise Corrupt(f"member {member.name!r} at {member.header_offset} shares bytes with the one before it")
        taken = member.header_offset + _span(member)
        yield member


def _span(member: Member) -> int:
    """The least bytes it takes; the extra field of its header and a descriptor come on top."""
    return _LOCAL_HEADER + len(member.raw_name) + member.compressed_size


def _entries(directory: bytes, end: End) -> Iterator[tuple[int, Member]]:
    if len(directory) != end.directory_size:
        raise Corrupt(f"{len(directory)} bytes of a zip directory of {end.directory_size} bytes")
    position = count = 0
    while position < len(directory):
        if count == end.members:
            left = len(directory) - position
            raise Corrupt(f"{left} bytes stand behind the {end.members} entries that the zip's directory should have")
        member, following = _entry(directory, position, end)
        yield position, member
        position = following
        count += 1
    if count != end.members:
        raise Corrupt(f"the zip's directory has {count} entries, its end record says {end.members}")


def _entry(directory: bytes, position: int, end: End) -> tuple[Member, int]:
    """The entry at ``position`` and where the next one begins."""
    if position + _ENTRY.size > len(directory):
        raise Corrupt(f"an entry of the zip's directory is cut off at byte {end.directory_offset + position}")
    (
        signature,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        crc,
        compressed_size,
        size,
        name_length,
        extra_length,
        comment_length,
        disk,
        _,
        attributes,
        offset,
    ) = _ENTRY.unpack_from(directory, position)
    if signature != _ENTRY_SIGNATURE:
        raise Corrupt(f"no entry of the zip's directory stands at byte {end.directory_offset + position}")
    name_at = position + _ENTRY.size
    extra_at = name_at + name_length
    following = extra_at + extra_length + comment_length
    if following > len(directory):
        raise Corrupt(f"an entry of the zip's directory is cut off at byte {end.directory_offset + position}")
    if _MAX32 in {size, compressed_size, offset}:
        extra = directory[extra_at : extra_at + extra_length]
        size, compressed_size, offset = _zip64(extra, size, compressed_size, offset)
    member = Member(
        raw_name=directory[name_at:extra_at],
        flags=flags,
        method=method,
        crc=crc,
        compressed_size=compressed_size,
        size=size,
        header_offset=offset,
        mode=attributes >> 16 if made_by >> 8 in _MADE_ON_UNIX else 0,
    )
    _check(member, disk, end)
    return member, following


def _zip64(extra: bytes, size: int, compressed_size: int, offset: int) -> tuple[int, int, int]:
    """The three numbers, each from the zip64 field where the entry has no room for it; they stand there in this order."""
    numbers = [size, compressed_size, offset]
    wide = _field(extra, _ZIP64_EXTRA)
    if wide is None:
        # 4,294,967,295 exactly needs no zip64 field, though writers add one.
        return size, compressed_size, offset
    at = 0
    for index, number in enumerate(numbers):
        if number == _MAX32:
            if at + 8 > len(wide):
                raise Corrupt("a zip64 field of the zip's directory is cut off")
            numbers[index] = int.from_bytes(wide[at : at + 8], "little")
            at += 8
    return numbers[0], numbers[1], numbers[2]


def _field(extra: bytes, wanted: int) -> bytes | None:
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == wanted:
            return extra[at : at + length]
        at += length
    return None


def _check(member: Member, disk: int, end: End) -> None:
    if disk not in {0, 0xFFFF}:
        raise Corrupt(f"member {member.name!r} lies on disk {disk} of a split zip")
    if member.header_offset + _span(member) > end.directory_offset:
        raise Corrupt(
            f"member {member.name!r} ({member.compressed_size} bytes at {member.header_offset}) reaches into the zip's "
            f"directory at {end.directory_offset}"
        )
    if member.method == STORED and member.testable and member.compressed_size != member.size:
        raise Corrupt(
            f"member {member.name!r} is stored, but its sizes differ: {member.compressed_size} and {member.size}"
        )

"""Where a zip archive's directory lies, judged from its last bytes alone.

A zip is read from its end: the end record says how many members there are and where their directory stands. Readers are
lenient about what surrounds it (prefixes, trailing bytes, a wrong zip64 offset: CVE-2025-8291), so two of them can
see two different archives in one file. Here everything must meet exactly: the directory ends where the end records
begin, and they end where the file ends.

Format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from artifact_sync.errors import Corrupt

__all__ = ["MAX_DIRECTORY", "TAIL", "End", "check_comment", "locate"]

#: Enough for the longest comment (65,535 bytes) with all the end records before it.
TAIL = 128 * 1024
#: The largest directory that is read, in bytes: about 700,000 members. Memory stays bounded by it.
MAX_DIRECTORY = 64 * 1024 * 1024

_END = Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
#: A zip64 record's size field does not count its signature and itself.
_END64_LEAD = 12
#: Signature and fixed fields of one directory entry: no member takes less.
_LEAST_ENTRY = 46
_MAX16 = 0xFFFF
_MAX32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What the end records say. Offsets and sizes are bytes from the start of the file."""

    members: int
    directory_offset: int
    directory_size: int


def locate(tail: bytes, size: int) -> End:
    """Find the directory from the last bytes of a file of ``size`` bytes: at least min(size, ``TAIL``) of them.

    Raises Corrupt when there is no end record, when the records contradict each other or the file, and when the
    directory is larger than ``MAX_DIRECTORY``.
    """
    at = _find_end(tail)
    _, disk, start_disk, here, members, directory_size, offset, _ = _END.unpack_from(tail, at)
    base = size - len(tail)
    ends_at = base + at
    locator_at = at - _LOCATOR.size
    if here != members:
        raise Corrupt(f"the zip is one part of a split archive ({here} of {members} members)")
    if locator_at >= 0 and tail.startswith(_LOCATOR_SIGNATURE, locator_at):
        said = (members, directory_size, offset)
        ends_at, members, directory_size, offset = _zip64(tail, base, locator_at)
        limits = (_MAX16, _MAX32, _MAX32)
        for short, full, limit in zip(said, (members, directory_size, offset), limits, strict=True):
            if short not in {full, limit}:
                raise Corrupt(f"the zip's end record says {short} where its zip64 record says {full}")
    elif disk or start_disk:
        raise Corrupt(f"the zip is one part of a split archive (disk {disk})")
    _check(members, directory_size, offset, ends_at)
    return End(members=members, directory_offset=offset, directory_size=directory_size)


def check_comment(tail: bytes) -> None:
    """Raise Corrupt when the comment of a located archive holds another end record.

    Many readers take the last signature that they find for the end, whatever its comment says, and so another directory.
    """
    at = tail.rfind(_END_SIGNATURE)
    if at + _END.size > len(tail) or at + _END.size + _END.unpack_from(tail, at)[-1] != len(tail):
        raise Corrupt(f"an end record begins in the zip's comment, {len(tail) - at} bytes before the end of the file")


def _find_end(tail: bytes) -> int:
    at = tail.rfind(_END_SIGNATURE)
    seen = at
    while at >= 0:
        if at + _END.size <= len(tail):
            comment = _END.unpack_from(tail, at)[-1]
            if at + _END.size + comment == len(tail):
                return at
        at = tail.rfind(_END_SIGNATURE, 0, at + len(_END_SIGNATURE) - 1)
    if seen >= 0:
        after = len(tail) - seen
        raise Corrupt(
            f"the zip's end record does not end where the file ends ({after} bytes from its start): cut off, or followed by other bytes"
        )
    raise Corrupt("the zip has no end record: it was cut off")


def _zip64(tail: bytes, base: int, locator_at: int) -> tuple[int, int, int, int]:
    """(where the record starts, members, directory size, directory offset)."""
    _, disk, record_offset, disks = _LOCATOR.unpack_from(tail, locator_at)
    at = record_offset - base
    if disk or disks > 1:
        raise Corrupt(f"the zip is one part of a split archive ({disks} disks)")
    if not 0 <= at <= locator_at - _END64.size or not tail.startswith(_END64_SIGNATURE, at):
        raise Corrupt(f"the zip64 locator points to byte {record_offset}, where no zip64 end record stands")
    _, length, _, _, disk, start_disk, here, members, directory_size, offset = _END64.unpack_from(tail, at)
    if at + _END64_LEAD + length != locator_at:
        raise Corrupt(f"the zip64 end record of {length} bytes does not end where its locator begins")
    if disk or start_disk or here != members:
        raise Corrupt(f"the zip is one part of a split archive (disk {disk}, {here} of {members} members)")
    return record_offset, members, directory_size, offset


def _check(members: int, directory_size: int, offset: int, ends_at: int) -> None:
    if offset + directory_size != ends_at:
        raise Corrupt(
            f"the zip's directory ({directory_size} bytes at {offset}) ends at {offset + directory_size}, "
            f"its end record begins at {ends_at}"
        )
    if directory_size > MAX_DIRECTORY:
        raise Corrupt(
            f"the zip's directory of {directory_size} bytes is larger than {MAX_DIRECTORY}: it is not read",
            hint="An archive of so many members cannot be verified here; have the job pack its files into one first.",
        )
    if members * _LEAST_ENTRY > directory_size:
        raise Corrupt(f"{members} members cannot stand in a zip directory of {directory_size} bytes")
    if not members and (directory_size or offset):
        raise Corrupt(f"the zip says it has no members, but {ends_at} bytes stand before its end record")

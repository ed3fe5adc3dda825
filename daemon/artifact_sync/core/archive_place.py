"""Where the bytes of a zip's member stand, from the header before them and the descriptor behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from artifact_sync.core.archive import Member
from artifact_sync.core.archive_end import End
from artifact_sync.core.archive_local import DESCRIPTOR, HEADER, check_name, descriptor_length, lengths
from artifact_sync.errors import Corrupt

__all__ = ["Place", "Read", "place"]

#: (offset, length) -> that many bytes of the file, fewer at its end.
Read = Callable[[int, int], bytes]


class Place(NamedTuple):
    """Offsets in the file: the packed bytes, and what follows the member with its descriptor."""

    #: The local header without name and extra field.
    header: bytes
    begins: int
    ends: int
    behind: int


def place(read: Read, member: Member, end: End) -> Place:
    """Find a member by its own header. Raises Corrupt when header or descriptor differ from the directory."""
    head = read(member.header_offset, HEADER + len(member.raw_name))
    header = head[:HEADER]
    name_length, extra_length = lengths(header, member)
    name = head[HEADER:]
    if name_length != len(name):
        name = read(member.header_offset + HEADER, name_length)
    check_name(name, member)
    begins = member.header_offset + HEADER + name_length + extra_length
    ends = behind = begins + member.compressed_size
    if ends > end.directory_offset:
        raise Corrupt(f"member {member.name!r} reaches into the zip's directory at {end.directory_offset}")
    if member.has_descriptor:
        behind += descriptor_length(read(ends, min(DESCRIPTOR, end.directory_offset - ends)), member)
    return Place(header, begins, ends, behind)

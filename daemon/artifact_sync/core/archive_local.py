"""What stands around a member's bytes in a zip: the local header before, the data descriptor behind.

Both repeat what the directory says, for readers that never see the directory. They must agree with it: a reader that
streams and one that seeks have to find the same files.

Format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 and 4.3.9.
"""

from __future__ import annotations

from struct import Struct

from artifact_sync.core.archive import Member
from artifact_sync.errors import Corrupt

__all__ = [
    "DESCRIPTOR",
    "DESCRIPTOR_SIGNATURE",
    "HEADER",
    "check_flags",
    "check_name",
    "described",
    "descriptor_length",
    "lengths",
]

_HEADER = Struct("<4s5H3L2H")
_HEADER_SIGNATURE = b"PK\x03\x04"
#: Bytes of a local header before the name.
HEADER = _HEADER.size
#: The longest data descriptor, in bytes.
DESCRIPTOR = 24
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_NARROW = Struct("<3L")
_WIDE = Struct("<L2Q")
_MAX32 = 0xFFFFFFFF
#: Encrypted, descriptor, patched, strongly encrypted, UTF-8 name, masked header: what changes how a member is read.
_TELLING = 0x0001 | 0x0008 | 0x0020 | 0x0040 | 0x0800 | 0x2000


def lengths(header: bytes, member: Member) -> tuple[int, int]:
    """How long the name and the extra field behind this local header are.

    Raises Corrupt when it is no local header, or says something other than the directory does.
    """
    if len(header) < HEADER:
        raise Corrupt(f"the header of member {member.name!r} is cut off at byte {member.header_offset}")
    signature, _, _, method, _, _, crc, compressed_size, size, name, extra = _HEADER.unpack_from(header)
    if signature != _HEADER_SIGNATURE:
        raise Corrupt(f"no member's header stands at byte {member.header_offset}, where {member.name!r} should begin")
    if method != member.method:
        raise Corrupt(f"member {member.name!r} is method {method} in its header, {member.method} in the directory")
    if not member.has_descriptor:
        pairs = (("CRC", crc, member.crc), ("packed size", compressed_size, member.compressed_size))
        for what, local, central in (*pairs, ("size", size, member.size)):
            # All ones stands for a number that has no room; Go's writer then leaves the zip64 field out of this header.
            if local != central and not (local == _MAX32 and what != "CRC"):
                raise Corrupt(f"member {member.name!r} has {what} {local} in its header, {central} in the directory")
    return name, extra


def described(header: bytes) -> tuple[Member, int] | None:
    """A member as its local header alone describes it, nameless, and how many bytes of name and extra field follow.

    None where no header stands.
    """
    signature, _, flags, method, _, _, crc, compressed_size, size, name, extra = _HEADER.unpack_from(header)
    if signature != _HEADER_SIGNATURE:
        return None
    member = Member(
        raw_name=b"",
        flags=flags,
        method=method,
        crc=crc,
        compressed_size=compressed_size,
        size=size,
        header_offset=0,
        mode=0,
    )
    return member, name + extra


def check_flags(header: bytes, member: Member) -> None:
    """Raise Corrupt when the local header has other flags than the directory, of those that change how a member is read."""
    flags = _HEADER.unpack_from(header)[2]
    if (flags ^ member.flags) & _TELLING:
        raise Corrupt(f"member {member.name!r} has flags {flags:#x} in its header, {member.flags:#x} in the directory")


def check_name(name: bytes, member: Member) -> None:
    """Raise Corrupt unless the local header has the directory's name."""
    if name != member.raw_name:
        shown = name.decode("utf-8", "backslashreplace")
        raise Corrupt(f"member {member.name!r} is called {shown!r} in its own header")


def descriptor_length(behind: bytes, member: Member) -> int:
    """How many of the bytes behind a member are its data descriptor: 0 where it has none.

    Writers differ in whether it has a signature and 8-byte sizes, so the form that agrees is taken. Some flag one for
    empty members and write none; nothing is lost there. Raises Corrupt when no form agrees with the directory.
    """
    if not member.has_descriptor:
        return 0
    lead = len(DESCRIPTOR_SIGNATURE)
    wide = _WIDE.pack(member.crc, member.compressed_size, member.size)
    narrow = _NARROW.pack(member.crc, member.compressed_size & _MAX32, member.size & _MAX32)
    if behind.startswith(DESCRIPTOR_SIGNATURE):
        for form in (wide, narrow):
            if behind.startswith(form, lead):
                return lead + len(form)
    for form in (wide, narrow):
        if behind.startswith(form):
            return len(form)
    if not member.size:
        return 0
    raise Corrupt(f"what stands behind member {member.name!r} does not repeat its CRC and sizes")

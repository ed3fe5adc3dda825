"""Zip archives for tests: real ones by zipfile, and hand-built ones that zipfile would not write."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from struct import pack

MAX16, MAX32 = 0xFFFF, 0xFFFFFFFF


class Unseekable(io.RawIOBase):
    """A sink that cannot seek, so that zipfile writes data descriptors as GitLab Runner does."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.written += data
        return len(data)


def real_zip(
    files: dict[str, bytes],
    *,
    compression: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
    descriptors: bool = False,
    force_zip64: bool = False,
) -> bytes:
    """What zipfile makes of these files; a name with a trailing slash is a directory."""
    sink = Unseekable() if descriptors else io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, content in files.items():
            if name.endswith("/"):
                archive.mkdir(name)
                continue
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            with archive.open(info, "w", force_zip64=force_zip64) as member:
                member.write(content)
        archive.comment = comment
    return bytes(sink.written) if isinstance(sink, Unseekable) else sink.getvalue()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A member as it is to be written, each lie on its own. None: the truth."""

    name: bytes
    content: bytes
    method: int = 8
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    compressed_size: int | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    local_crc: int | None = None
    header_offset: int | None = None
    descriptor: bytes | None = None
    packed: bytes | None = None
    zip64: bool = False
    disk: int = 0
    mode: int | None = None
    #: The system it was made on: 3 is Unix, 19 macOS, 0 MS-DOS.
    made_by: int = 3
    local_flags: int | None = None
    local_size: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    #: Bytes between the member before it and its header.
    before: bytes = b""


def deflate(content: bytes) -> bytes:
    """Raw deflated data."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush()


def _local(entry: Entry, crc: int, packed: int, size: int) -> bytes:
    name = entry.name if entry.local_name is None else entry.local_name
    method = entry.method if entry.local_method is None else entry.local_method
    if entry.flags & 8:
        crc = packed = size = 0
    if entry.local_crc is not None:
        crc = entry.local_crc
    if entry.local_size is not None:
        size = entry.local_size
    return (
        pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            20,
            entry.flags if entry.local_flags is None else entry.local_flags,
            method,
            0,
            0x21,
            crc,
            min(packed, MAX32),
            min(size, MAX32),
            len(name),
            len(entry.local_extra),
        )
        + name
        + entry.local_extra
    )


def _central(entry: Entry, crc: int, packed: int, size: int, offset: int) -> bytes:
    extra = entry.extra
    if entry.zip64:
        extra += pack("<2H3Q", 1, 24, size, packed, offset)
        packed = size = offset = MAX32
    lengths = (len(entry.name), len(extra), 0, entry.disk, 0)
    mode = entry.mode
    if mode is None:
        mode = 0o40755 if entry.name.endswith(b"/") else 0o100644
    head = pack("<4s6H", b"PK\x01\x02", entry.made_by << 8 | 20, 20, entry.flags, entry.method, 0, 0x21)
    return head + pack("<3L5H2L", crc, packed, size, *lengths, mode << 16, offset) + entry.name + extra


def craft(
    entries: Sequence[Entry], *, zip64: bool = False, gap: bytes = b"", reverse: bool = False, **end: int
) -> bytes:
    """A zip of these entries. ``end`` overrides numbers of the end record: count, size, offset, disk, record."""
    body, directory = bytearray(), []
    for entry in entries:
        packed = entry.packed
        if packed is None:
            packed = deflate(entry.content) if entry.method == 8 else entry.content
        crc = zlib.crc32(entry.content) if entry.crc is None else entry.crc
        size = len(entry.content) if entry.size is None else entry.size
        compressed = len(packed) if entry.compressed_size is None else entry.compressed_size
        body += entry.before
        offset = len(body) if entry.header_offset is None else entry.header_offset
        body += _local(entry, crc, compressed, size) + packed
        if entry.flags & 8:
            true = pack("<4s3L", b"PK\x07\x08", crc, compressed & MAX32, size & MAX32)
            body += true if entry.descriptor is None else entry.descriptor
        directory.append(_central(entry, crc, compressed, size, offset))
    listed = b"".join(reversed(directory) if reverse else directory)
    body += gap
    count, size, offset = end.get("count", len(entries)), end.get("size", len(listed)), end.get("offset", len(body))
    disk = end.get("disk", 0)
    tail = b""
    if zip64:
        record = end.get("record", len(body) + len(listed))
        tail = pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, disk, 0, count, count, size, offset)
        tail += pack("<4sLQL", b"PK\x06\x07", 0, record, 1)
        count, size, offset = MAX16, MAX32, MAX32
    return bytes(body) + listed + tail + pack("<4s4H2LH", b"PK\x05\x06", disk, 0, count, count, size, offset, 0)


def text(name: str, content: bytes = b"some text, some text, some text", **lies) -> Entry:
    """An honest entry, or one with lies."""
    return replace(Entry(name=name.encode(), content=content), **lies)

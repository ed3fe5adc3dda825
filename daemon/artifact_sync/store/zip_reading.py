"""One file straight out of a zip archive: its directory is read, and then that member alone. Blocking, with bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from artifact_sync.core.archive import Member, members
from artifact_sync.core.archive_end import TAIL, End, locate
from artifact_sync.core.archive_inflate import Unpacking
from artifact_sync.core.archive_place import place
from artifact_sync.errors import Corrupt

__all__ = ["ZipFile"]

_READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class ZipFile:
    """An archive in an open file. Positions are given with every read, so that several may read it."""

    file: BinaryIO
    size: int

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self.file.fileno(), length, offset)

    def end(self) -> End:
        """Where its directory lies. Raises Corrupt, OSError."""
        tail = min(self.size, TAIL)
        return locate(self._read(self.size - tail, tail), self.size)

    def members(self, end: End) -> Iterator[Member]:
        """Its members in the directory's order. Raises Corrupt, at the latest when exhausted; OSError."""
        directory = bytearray()
        while len(directory) < end.directory_size:
            block = self._read(end.directory_offset + len(directory), end.directory_size - len(directory))
            if not block:
                break
            directory += block
        return members(bytes(directory), end)

    def find(self, path: str, end: End) -> Member | None:
        """The file of this path, the first of several as GitLab takes it; None where there is none. Raises as ``members``."""
        wanted = path.encode("utf-8", "surrogateescape")
        return next((member for member in self.members(end) if member.raw_name == wanted and not member.is_dir), None)

    def content(self, member: Member, end: End) -> Iterator[bytes]:
        """What the member unpacks to, at most 256 KiB at a time, compared with what the directory says of it.

        The last piece comes only once size and CRC were found right. Raises Corrupt, OSError.
        """
        where = place(self._read, member, end)
        unpacking = Unpacking(member)
        held = b""
        for piece in self._pieces(unpacking, where.begins, where.ends, member):
            if piece:
                if held:
                    yield held
                held = piece
        if held:
            yield held

    def _pieces(self, unpacking: Unpacking, at: int, ends: int, member: Member) -> Iterator[bytes]:
        while at < ends:
            block = self._read(at, min(_READ, ends - at))
            if not block:
                raise Corrupt(f"the file ends inside member {member.name!r}")
            at += len(block)
            yield from unpacking.feed(block)
        yield from unpacking.end()

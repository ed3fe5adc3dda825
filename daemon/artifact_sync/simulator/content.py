"""Stored bytes: in memory, or in an unnamed temporary file when they are many."""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Callable
from io import FileIO
from typing import Protocol

__all__ = ["Content", "Sink"]


class Sink(Protocol):
    """Where bytes are written, forward only."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class _Hashing:
    """A sink that cannot seek, like the pipe to which GitLab Runner writes its archives."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class Content:
    """Bytes with their size and sha256 (hex). Either ``data`` or ``fd`` holds them."""

    def __init__(self, *, size: int, sha256: str, data: bytes | None = None, fd: int | None = None) -> None:
        self.size = size
        self.sha256 = sha256
        self.data = data
        self.fd = fd
        if fd is not None:
            weakref.finalize(self, os.close, fd)

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Bytes in memory."""
        return cls(size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)

    @classmethod
    def written(cls, write: Callable[[Sink], None], *, on_disk: bool) -> Content:
        """What ``write`` writes; on disk in a temporary file that has no name and goes with this object."""
        if not on_disk:
            parts: list[bytes] = []
            sink = _Hashing(lambda data: parts.append(bytes(data)))
            write(sink)
            return cls(size=sink.size, sha256=sink.sha256.hexdigest(), data=b"".join(parts))
        with tempfile.TemporaryFile() as file:
            sink = _Hashing(file.write)
            write(sink)
            file.flush()
            return cls(size=sink.size, sha256=sink.sha256.hexdigest(), fd=os.dup(file.fileno()))

    def read(self, offset: int, count: int) -> bytes:
        """At most ``count`` bytes from ``offset``."""
        if self.data is not None:
            return self.data[offset : offset + count]
        assert self.fd is not None  # noqa: S101 -- one of the two is always set
        return os.pread(self.fd, count, offset)

    def file(self) -> FileIO | None:
        """A file object for sendfile, to be closed by the caller; None for bytes in memory."""
        return None if self.fd is None else FileIO(os.dup(self.fd))

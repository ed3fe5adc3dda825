"""Whether a file on disk is what it is said to be."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING

from artifact_sync.store.paths import opened

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["CHUNK", "Content", "content_of", "feed", "matches"]

#: Bytes per read: large enough that hashing, not the calls, is what takes the time.
CHUNK = 1 << 20

#: (sha256 in hex, size in bytes).
Content = tuple[str, int]


def feed(running: _Hash, fd: int, *, start: int, length: int, watch: Callable[[bytes], None] | None = None) -> int:
    """Hash ``length`` bytes of an open file from ``start``, and show them to ``watch``; how many there were."""
    offset = start
    while offset < start + length:
        block = os.pread(fd, min(CHUNK, start + length - offset), offset)
        if not block:
            break
        running.update(block)
        if watch is not None:
            watch(block)
        offset += len(block)
    return offset - start


def content_of(name: str, *, at: int, size: int | None = None) -> Content | None:
    """What a regular file holds; None when there is none, or its size is not ``size`` (then it is not read)."""
    try:
        with opened(name, at=at) as fd:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or size not in {None, status.st_size}:
                return None
            running = hashlib.sha256()
            read = feed(running, fd, start=0, length=status.st_size)
            return running.hexdigest(), read
    except FileNotFoundError:
        return None


def matches(name: str, content: Content, *, at: int) -> bool:
    """Whether a regular file of that name has exactly that size and sha256."""
    return content_of(name, at=at, size=content[1]) == content

"""Space on the state's disk that is held for the moment when the disk is full.

What is done must still be written down then: that a transfer has failed and waits, that a job was kept. SQLite cannot even
delete without space. So a file beside the database holds some, and gives it up in parts.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["Ballast"]

#: Several times the write-ahead log at its usual longest (1000 pages, https://www.sqlite.org/wal.html).
_SIZE = 16 << 20
#: On a small disk no more than this part of it.
_PART = 16
_PARTS = 8
_AGAIN = 30.0


class Ballast:
    """The file ``<database>.ballast``, for the one process that works on the store; of one thread at a time.

    It is a precaution: where it cannot be held, or not yet again, work goes on without it.
    """

    def __init__(self, database: Path, *, again: float = _AGAIN) -> None:
        """``again``: seconds between two attempts to take again what was given up."""
        self._again = again
        self._path = database.with_name(f"{database.name}.ballast")
        self._look_at = 0.0

    def hold(self) -> None:
        """Take all of it, where as much again stays free. Cheap where it is held already, or was looked at just now."""
        if time.monotonic() < self._look_at:
            return
        with suppress(OSError):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                whole = self._hold(fd)
            finally:
                os.close(fd)
            self._look_at = float("inf") if whole else time.monotonic() + self._again

    def give(self) -> bool:
        """Give up a part; False when nothing is left to give."""
        with suppress(OSError):
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                held = os.fstat(fd).st_size
                part = max(1, _size(fd) // _PARTS)
                os.ftruncate(fd, max(0, held - part))
                # A journal gives freed blocks out again once their freeing is committed.
                os.fsync(fd)
            finally:
                os.close(fd)
            self._look_at = time.monotonic() + self._again
            return held > 0
        return False

    @staticmethod
    def _hold(fd: int) -> bool:
        held, size = os.fstat(fd).st_size, _size(fd)
        if held >= size:
            return True
        status = os.fstatvfs(fd)
        if status.f_bavail * status.f_frsize < 2 * size:
            return False
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError:
            os.ftruncate(fd, held)
            raise
        return True


def _size(fd: int) -> int:
    status = os.fstatvfs(fd)
    return min(_SIZE, status.f_blocks * status.f_frsize // _PART)

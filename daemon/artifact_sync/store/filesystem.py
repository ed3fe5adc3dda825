"""Whole-filesystem calls: syncfs(2) and free space."""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = ["free_bytes", "sync_filesystem"]


def sync_filesystem(fd: int) -> None:
    """syncfs(2) on the filesystem of ``fd``; sync(2) of everything where the C library has none.

    It reports write-back errors since Linux 5.8 (https://man7.org/linux/man-pages/man2/syncfs.2.html). Raises OSError.
    """
    library = ctypes.CDLL(None, use_errno=True)
    syncfs = getattr(library, "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    if syncfs(fd) != 0:
        code = ctypes.get_errno()
        if code != errno.ENOSYS:
            raise OSError(code, os.strerror(code))
        os.sync()


def free_bytes(fd: int) -> int:
    """Bytes that this user may still write (the reserve of the superuser is not among them). Raises OSError."""
    status = os.fstatvfs(fd)
    return status.f_bavail * status.f_frsize

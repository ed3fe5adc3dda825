"""What the disk's errors mean, and the one way to fsync."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from artifact_sync.errors import NoSpace, Obstructed, StoreDamaged, StoreError
from artifact_sync.store.modes import Access

__all__ = ["Syncer", "disk_errors", "is_damage", "write_all"]

_BY_UMASK = Access()
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_BROKEN = frozenset({errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EUCLEAN, errno.EBADMSG})
_OBSTRUCTED = frozenset({errno.ELOOP, errno.ENOTDIR})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
#: Some network and FUSE filesystems cannot fsync a directory; their renames are durable by their own rules or not at all.
_CANNOT_SYNC_DIRECTORY = frozenset({errno.EINVAL, errno.ENOTSUP})


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an OSError into the class that says what to do about it: NoSpace, StoreDamaged, Obstructed, or StoreError."""
    try:
        yield
    except OSError as error:
        raise _judged(error, doing) from error


def is_damage(error: OSError) -> bool:
    """Whether the disk itself refuses to work."""
    return error.errno in _BROKEN


def _judged(error: OSError, doing: str) -> StoreError:
    where = f" ({error.filename!r})" if error.filename else ""
    said = f"{doing}: {error.strerror or error}{where}"
    if error.errno in _FULL:
        return NoSpace(said, hint="The store's disk or quota is full: free some space; work goes on by itself then.")
    if is_damage(error):
        return StoreDamaged(
            said, hint="The store's disk refuses to work: look at the kernel's log, check the disk and its filesystem."
        )
    if error.errno in _OBSTRUCTED:
        return Obstructed(
            said,
            hint="A symbolic link or a file stands where the store needs a directory of its own. "
            "Nothing is written through it: where publish.latest made it, change that or publish.path; "
            "else remove what was put there.",
        )
    if error.errno in _EXHAUSTED:
        return StoreError(
            said, hint="Raise the limit on open files or memory of this process (LimitNOFILE, ulimit -n)."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return StoreError(said, hint="The store must belong to the user that artifact-sync runs as.")
    return StoreError(said, hint="Check the store's directory and the filesystem that it lies on.")


class Syncer:
    """fsync, never again after it failed once.

    After a failed fsync the kernel marks the lost pages clean and the next fsync succeeds without them
    (https://wiki.postgresql.org/wiki/Fsync_Errors). So the first failure condemns all further publishing in this process;
    the next start looks at what is really there.
    """

    def __init__(self, access: Access = _BY_UMASK) -> None:
        #: What becomes of new directories besides.
        self.access = access
        self._failed = ""

    def require_sound(self) -> None:
        """Raise StoreDamaged if an fsync failed earlier."""
        if self._failed:
            raise StoreDamaged(
                f"an earlier fsync failed ({self._failed}), so nothing more is published",
                hint="Check the store's disk, then start artifact-sync again: it looks at what is really there.",
            )

    def file(self, fd: int, what: str) -> None:
        """fsync a file. Raises StoreDamaged whatever the reason."""
        self.require_sound()
        try:
            os.fsync(fd)
        except OSError as error:
            self._condemn(error, what)

    def directory(self, fd: int, what: str) -> None:
        """fsync a directory, where the filesystem can. Raises StoreDamaged."""
        self.require_sound()
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC_DIRECTORY:
                self._condemn(error, what)

    def admit(self, fd: int) -> None:
        """Give a directory the permissions of what is published, durably. Raises StoreDamaged, OSError."""
        if self.access.give(fd):
            self.directory(fd, "the permissions of a directory")

    def _condemn(self, error: OSError, what: str) -> None:
        self._failed = f"{what}: {error.strerror}"
        raise StoreDamaged(
            f"fsync of {what}: {error.strerror}",
            hint="The disk did not take what was written: look at the kernel's log, check the disk. It is not tried again.",
        ) from error


def write_all(fd: int, content: bytes | memoryview) -> None:
    """write(2) until everything is written."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]

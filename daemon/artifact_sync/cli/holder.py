"""Who works on a store, asked without getting in the way."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from artifact_sync.errors import StoreError
from artifact_sync.store.lock import Holder

__all__ = ["Worker", "holder"]


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that holds a store; None inside: it has not said who it is."""

    known: Holder | None

    def __str__(self) -> str:
        if self.known is None:
            return "a process that has not said who it is"
        return f"process {self.known.pid} on {self.known.host} ({self.known.command}), since {self.known.since}"

    @property
    def name(self) -> str:
        """In few words."""
        return "that process" if self.known is None else f"process {self.known.pid}"


def holder(path: Path) -> Worker | None:
    """Who holds the lock file; None if nobody does, or there is none.

    Takes a shared lock for a moment; a daemon that starts just then tries again for a second, so that it is not refused.
    Raises StoreError where the lock cannot be looked at.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="Run this as the user that the daemon runs as.") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Worker(_named(fd))
    except OSError as error:
        hint = "The store must lie on a filesystem with locks: a local one, or NFS with its lock service."
        raise StoreError(f"{path}: {error.strerror}", hint=hint) from error
    finally:
        os.close(fd)
    return None


def _named(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0).split(b"\n")[0], type=Holder)
    except (OSError, msgspec.DecodeError):
        return None

"""Who works on a store, asked without getting in the way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from artifact_sync.errors import StoreError, StoreLocked
from artifact_sync.store.lock import Holder

__all__ = ["Worker", "alone", "ended_first", "holder"]


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

    @property
    def daemon(self) -> bool:
        """Whether it may be a daemon, as far as it has said."""
        return self.known is None or self.known.command.endswith(" run")


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


@contextmanager
def alone(lock: Path, cure: Callable[[Worker], str]) -> Iterator[None]:
    """For a command that needs the store for itself: a StoreLocked from within says what helps whoever typed that command."""
    try:
        yield
    except StoreLocked as error:
        who = holder(lock)
        error.hint = "It has ended by now: try again." if who is None else cure(who)
        raise


def ended_first(why: str) -> Callable[[Worker], str]:
    """The cure where nothing can be done beside a daemon; ``why``, a sentence, and what goes without stopping it."""

    def cure(who: Worker) -> str:
        if not who.daemon:
            return f"Wait for it, or end {who.name}."
        return f"Stop {who.name} first (a service: systemctl stop artifact-sync), and start it again afterwards. {why}"

    return cure


def _named(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0).split(b"\n")[0], type=Holder)
    except (OSError, msgspec.DecodeError):
        return None

"""One process works on a store at a time, and the others can say which."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from artifact_sync.errors import StoreError, StoreLocked
from artifact_sync.store.disk import disk_errors, write_all

__all__ = ["Holder", "held"]

_TRIES = 20
_PAUSE = 0.05
_LIMIT = 4096


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock, as written in the lock file."""

    pid: int
    host: str
    since: str
    command: str

    @classmethod
    def this_process(cls) -> Holder:
        """This process. Of the command line only the verb is told: the rest may name things that are nobody's business."""
        program, *rest = sys.argv or [""]
        verb = next((word for word in rest if word.isalpha()), "")
        return cls(
            pid=os.getpid(),
            host=socket.gethostname(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            command=f"{Path(program).name} {verb}".strip(),
        )

    @property
    def gone(self) -> bool:
        """Whether this was written by a process of this machine that no longer runs."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file exclusively. Waits for nobody (but up to a second to learn who it is).

    Closing the descriptor gives the lock up, and so does the end of the process, however it ends. The file is never
    removed: a process that waits with the old file open would then hold a lock that nobody else sees. Raises StoreLocked
    when another process holds it, StoreError where the filesystem has no locks.
    """
    with disk_errors(f"locking {path}"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        _take(fd, path)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path) -> None:
    holder: Holder | None = None
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The holder writes its line after it got the lock: what stands there may still be its predecessor's.
            holder = _read(fd)
            if holder is not None and not holder.gone:
                break
            time.sleep(_PAUSE)
        except OSError as error:
            raise StoreError(
                f"locking {path}: {error.strerror}",
                hint="The store must lie on a filesystem with locks (flock): a local one, or NFS with its lock service.",
            ) from error
        else:
            _write(fd, path)
            return
    who = (
        f"process {holder.pid} on {holder.host} ({holder.command}), since {holder.since}"
        if holder is not None and not holder.gone
        else "another process that has not said who it is"
    )
    raise StoreLocked(
        f"the store {path.parent} is in use by {who}",
        hint="Two daemons must not share a store: stop the other one, or give this one a store of its own.",
    )


def _read(fd: int) -> Holder | None:
    with suppress(OSError, msgspec.DecodeError):
        # The first line only: what a longer one left behind it means nothing.
        return msgspec.json.decode(os.pread(fd, _LIMIT, 0).split(b"\n")[0], type=Holder)
    return None


def _write(fd: int, path: Path) -> None:
    line = msgspec.json.encode(Holder.this_process()) + b"\n"
    with disk_errors(f"writing {path}"):
        os.lseek(fd, 0, os.SEEK_SET)
        write_all(fd, line)
        os.ftruncate(fd, len(line))

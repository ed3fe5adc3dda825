"""Opening the database: the right file, whole, at this version."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from artifact_sync.errors import NoSpace, StateError
from artifact_sync.state.queries import Migration, migrations, statements
from artifact_sync.state.trouble import judged, unreadable

__all__ = ["APPLICATION_ID", "connect"]

#: "ASyn": tells the file from other programs' databases (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x4153796E
#: STRICT tables came with 3.37.
_NEEDED = (3, 37)
_BUSY_SECONDS = 10.0
_FULL = "The disk of the state database is full: free some space; work goes on by itself then."
#: Bytes and files that must be free on the disk of the database: the log, its index, and one to spare.
_ROOM, _FILES = 256 << 10, 3


def connect(path: Path, steps: Sequence[Migration] | None = None) -> sqlite3.Connection:
    """A connection to the database at ``path``, made, checked and migrated as needed, for the calling thread.

    ``steps`` are all migrations, oldest first. A file that is not a whole database of this program and version, or an older
    one of it, is left as it is. Raises StateError, NoSpace.
    """
    if sqlite3.sqlite_version_info < _NEEDED:
        raise StateError(
            f"SQLite {sqlite3.sqlite_version} is too old", hint="Use a Python that is built with SQLite 3.37 or newer."
        )
    doing = f"opening the state database {path}"
    try:
        _make_private(path)
        _require_room(path)
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(database, path, migrations() if steps is None else tuple(steps))
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as error:
        raise judged(error, doing) from error
    except ValueError as error:
        raise unreadable(error, doing) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(f"{doing}: {error.strerror}", hint=_FULL) from error
        raise StateError(
            f"{doing}: {error.strerror or error}", hint="Its directory must be there and writable, on a local disk."
        ) from error
    return database


def _make_private(path: Path) -> None:
    """SQLite gives its other files the mode of this one.

    A file that is there is not opened: closing it would let go of all locks that another connection of this process has on
    it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _require_room(path: Path) -> None:
    """Raise NoSpace where SQLite would not say what is wrong, or could not.

    SQLite maps the file ``-shm`` into memory, and its process is killed where the disk has no block for a part of it.
    SQLite writes one byte in each 4096 for that reason, which is not enough where blocks are smaller
    (unixShmMap in https://sqlite.org/src/file/src/os_unix.c).
    """
    status = os.statvfs(path)
    # Some filesystems have no fixed number of files, and say 0 of 0.
    if status.f_files and status.f_favail < _FILES:
        what = f"fewer than {_FILES} files (inodes)"
    elif status.f_bavail * status.f_frsize < _ROOM:
        what = f"less than {_ROOM >> 10} KiB"
    else:
        return
    raise NoSpace(
        f"opening the state database {path}: the disk is full, it has {what} free",
        hint=_FULL,
    )


def _prepare(database: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    version = _require_ours(database, path, steps[-1].version)
    _require_whole(database, path)
    if database.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StateError(
            f"the state database {path} cannot use a write-ahead log",
            hint="It must lie on a local disk, not on a network.",
        )
    # NORMAL would lose commits that were answered already, at a power cut.
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA foreign_keys = ON")
    if version < steps[-1].version:
        if version > 0:
            _back_up(database, path, version)
        _migrate(database, steps)


def _require_ours(database: sqlite3.Connection, path: Path, newest: int) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    owner = database.execute("PRAGMA application_id").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if owner != APPLICATION_ID and (owner or version or tables):
        raise StateError(
            f"{path} is the database of another program", hint="Give artifact-sync a file of its own in state.path."
        )
    if version > newest:
        raise StateError(
            f"the state database {path} has schema version {version}, this artifact-sync knows version {newest}",
            hint=f"Run an artifact-sync that knows schema version {version}: the one that wrote it, or a newer one.",
        )
    return version


def _require_whole(database: sqlite3.Connection, path: Path) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise judged(_damaged(found), f"checking the state database {path}")


def _damaged(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _back_up(database: sqlite3.Connection, path: Path, version: int) -> None:
    """A whole copy beside the database before its schema changes; an earlier copy of the same version is replaced."""
    copy = path.with_name(f"{path.name}.v{version}")
    unfinished = path.with_name(f"{path.name}.v{version}.new")
    unfinished.unlink(missing_ok=True)
    _make_private(unfinished)
    with closing(sqlite3.connect(unfinished)) as target:
        database.backup(target)
    fd = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    unfinished.replace(copy)


def _migrate(database: sqlite3.Connection, steps: Sequence[Migration]) -> None:
    """All missing steps in one transaction. Another process that opened it too waits, and then finds it done."""
    database.execute("BEGIN IMMEDIATE")
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        for step in steps:
            if step.version > version:
                for statement in statements(step.sql):
                    database.execute(statement)
        database.execute(f"PRAGMA user_version = {steps[-1].version}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise

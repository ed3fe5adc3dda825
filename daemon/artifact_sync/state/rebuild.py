"""A new database beside the one that is there, and the moment at which it takes its place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

from anyio import to_thread

from artifact_sync.errors import Outcome, StateError
from artifact_sync.ports import TransferState
from artifact_sync.ports.rebuilding import FoundPublication
from artifact_sync.state import owner, rows, schema
from artifact_sync.state.queries import named
from artifact_sync.state.thread import DatabaseThread

__all__ = ["SqliteBuilder"]

_REBUILD = named("rebuild")
_BESIDE = ("-wal", "-shm", "-journal")


class SqliteBuilder:
    """Implements ``ports.rebuilding.StateBuilder``."""

    def __init__(self, path: Path, new: Path, thread: DatabaseThread) -> None:
        self._path = path
        self._new = new
        self._thread = thread

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Begin a database for ``path``, which stays as it is until the end. What is not finished is removed.

        Raises StateError, NoSpace.
        """
        new = path.with_name(f"{path.name}.rebuilt")
        await to_thread.run_sync(partial(_remove, new))
        thread = DatabaseThread(partial(schema.connect, new))
        try:
            await thread.start()
            yield cls(path, new, thread)
        finally:
            await thread.close()
            await to_thread.run_sync(partial(_remove, new))

    async def add(self, found: Sequence[FoundPublication]) -> tuple[FoundPublication, ...]:
        """As the port says."""
        return await self._thread.call(partial(_add, found=found), writes=True)

    async def finish(self, owners: Mapping[str, str]) -> tuple[str, ...]:
        """As the port says."""
        await self._thread.call(partial(owner.save, owners=owners), writes=True)
        # The last connection to close empties the log into the file and removes it (https://www.sqlite.org/wal.html).
        await self._thread.close()
        return await to_thread.run_sync(partial(_swap, self._new, self._path))


def _add(database: sqlite3.Connection, found: Sequence[FoundPublication]) -> tuple[FoundPublication, ...]:
    return tuple(each for each in found if not _added(database, each))


def _added(database: sqlite3.Connection, found: FoundPublication) -> bool:
    transfer = found.transfer
    parameters = rows.transfer_columns(transfer) | {
        "due": rows.micros(transfer.deadline or found.published_at),
        # As recovery has it: what is not whole was lost, and is fetched again.
        "state": TransferState.PUBLISHED if found.whole else TransferState.WANTED,
        "lost": not found.whole,
        "outcome": Outcome.PUBLISHED if found.whole else None,
        "published_files": rows.files_json(found.files),
        "published_at": rows.micros(found.published_at),
        "size": found.size,
        "manifest_sha256": found.manifest_sha256,
    }
    return database.execute(_REBUILD["add"], parameters).rowcount > 0


def _swap(new: Path, path: Path) -> tuple[str, ...]:
    """The new file under the old name by one rename, and all of the old state under other names.

    The old log goes before: SQLite would take it for the new file's own. Where this is cut off, the old file is still there,
    without what only its log had.
    """
    kept: list[str] = []
    backup = _free_name(path)
    try:
        _sync(new)
        if path.exists():
            os.link(path, backup)
            kept.append(backup.name)
        for suffix in _BESIDE:
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(backup.with_name(backup.name + suffix))
        _sync(path.parent)
        new.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise StateError(
            f"putting the rebuilt state into place of {path}: {error.strerror or error}",
            hint="Its directory must be writable, on a local disk. Nothing of the old state was removed.",
        ) from error
    return tuple(kept)


def _free_name(path: Path) -> Path:
    """By the moment, and a number where two rebuilds met in one."""
    stamp = f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (path.with_name(f"{stamp}{f'-{number}' if number else ''}") for number in count())
    return next(name for name in names if not name.exists() and not name.with_name(f"{name.name}-wal").exists())


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(new: Path) -> None:
    for suffix in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            new.with_name(new.name + suffix).unlink()

"""The state in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from artifact_sync.core.model import KeepDue, Transfer
from artifact_sync.ports import KeepEntry, PartRecord, Progress, QueuedTransfer, Summary, Trouble, WatchedPipeline
from artifact_sync.state import counters, discovery, keeps, owner, retention, schema, transfers, troubles, verification
from artifact_sync.state.ballast import Ballast
from artifact_sync.state.outbox import SqliteOutbox
from artifact_sync.state.pruning import SqlitePruning
from artifact_sync.state.thread import DatabaseThread
from artifact_sync.state.verifying import SqliteVerifying

__all__ = ["SqliteState"]

T = TypeVar("T")

#: Rows per read of a stream, and examples in a summary.
_PAGE = 200
_FEW = 10


class SqliteState(SqlitePruning, SqliteVerifying, SqliteOutbox):
    """Implements ``ports.State``. Several processes may have it open; only one of them holds the store."""

    def __init__(self, thread: DatabaseThread) -> None:
        self._thread = thread

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, ballast: bool = False) -> AsyncIterator[Self]:
        """Open the database at ``path``, making it where it is not there, checking and migrating it where it is.

        ``ballast``: hold some space for when the disk is full; for the one process that works on the store. Raises
        StateError when it is damaged, another program's, newer than this program, or cannot be opened; NoSpace.
        """
        thread = DatabaseThread(partial(schema.connect, path), ballast=Ballast(path) if ballast else None)
        await thread.start()
        try:
            yield cls(thread)
        finally:
            await thread.close()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in the database's thread."""
        return await self._thread.call(work, writes=False)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a write in the database's thread; durable when it returns."""
        return await self._thread.call(work, writes=True)

    async def belongs_to(self) -> Mapping[str, str]:
        """As the port says."""
        return await self.read(owner.recorded)

    async def belong_to(self, owners: Mapping[str, str]) -> None:
        """As the port says."""
        await self.write(partial(owner.save, owners=owners))

    async def progress(self, project_id: int) -> Progress | None:
        """As the port says."""
        return await self.read(partial(discovery.progress, project_id=project_id))

    async def save_progress(
        self,
        progress: Progress,
        *,
        found: Sequence[Transfer] = (),
        keeps: Sequence[KeepDue] = (),
        watch: Sequence[WatchedPipeline] = (),
        unwatch: Sequence[int] = (),
        now: datetime,
    ) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        save = partial(
            discovery.save, progress=progress, found=found, keeps=keeps, watch=watch, unwatch=unwatch, now=now
        )
        return await self.write(save)

    async def want(
        self, found: Sequence[Transfer], *, keeps: Sequence[KeepDue] = (), now: datetime
    ) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        return await self.write(partial(discovery.want, found=found, keeps=keeps, now=now))

    async def watch(self, pipelines: Sequence[WatchedPipeline]) -> None:
        """As the port says."""
        await self.write(partial(discovery.watch, pipelines=pipelines))

    async def hasten(self, project_id: int, now: datetime) -> None:
        """As the port says."""
        await self.write(partial(discovery.hasten, project_id=project_id, now=now))

    async def watched(self, project_id: int) -> frozenset[int]:
        """As the port says."""
        return await self.read(partial(discovery.watched, project_id=project_id))

    async def due_pipelines(self, project_id: int, now: datetime, limit: int) -> tuple[WatchedPipeline, ...]:
        """As the port says."""
        return await self.read(partial(discovery.due_pipelines, project_id=project_id, now=now, limit=limit))

    async def next_look(self, project_id: int) -> datetime | None:
        """As the port says."""
        return await self.read(partial(discovery.next_look, project_id=project_id))

    async def find(self, project_id: int, job_id: int) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        return await self.read(partial(transfers.find, project_id=project_id, job_id=job_id))

    async def unfinished(self) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        return await self.read(transfers.unfinished)

    async def published(self) -> AsyncIterator[QueuedTransfer]:
        """As the port says. One that is published or lost while this streams may or may not appear."""
        after = 0
        while page := await self.read(partial(transfers.published_page, after=after, limit=_PAGE)):
            for queued in page:
                yield queued
            after = page[-1].id

    async def note_trouble(self, trouble: Trouble) -> None:
        """As the port says."""
        await self.write(partial(troubles.note, trouble=trouble))

    async def clear_trouble(self, subject: str | None = None) -> None:
        """As the port says."""
        await self.write(partial(troubles.clear, subject=subject))

    async def count(self, counts: Mapping[str, int]) -> None:
        """As the port says."""
        await self.write(partial(counters.add, counts=counts))

    async def summary(self) -> Summary:
        """As the port says."""
        return await self.read(_summary)

    async def due_keeps(self, now: datetime, limit: int) -> tuple[KeepDue, ...]:
        """As the port says."""
        return await self.write(partial(keeps.due, now=now, limit=limit))

    async def next_keep(self) -> datetime | None:
        """As the port says."""
        return await self.read(keeps.next_due)

    async def keep_done(
        self,
        due: KeepDue,
        entry: KeepEntry,
        *,
        again_at: datetime | None,
        expire_at: datetime | None,
        first: bool = False,
    ) -> None:
        """As the port says."""
        await self.write(partial(keeps.done, due=due, entry=entry, again_at=again_at, expire_at=expire_at, first=first))

    async def shift_keeps(
        self,
        project_id: int,
        *,
        ref: str | None = None,
        due_by: datetime,
        to: datetime,
        first: datetime | None = None,
    ) -> None:
        """As the port says."""
        await self.write(partial(keeps.shift, project_id=project_id, ref=ref, due_by=due_by, to=to, first=first))

    async def released(self, entry: KeepEntry) -> None:
        """As the port says."""
        await self.write(partial(keeps.released, entry=entry))

    async def keeps(self) -> AsyncIterator[KeepEntry]:
        """As the port says."""
        page = await self.read(partial(keeps.entries, limit=_PAGE))
        while page:
            for _, entry in page:
                yield entry
            page = await self.read(partial(keeps.entries, before=page[-1][0], limit=_PAGE))

    async def part_record(self, transfer_id: int, item: str) -> PartRecord | None:
        """As the port says."""
        return await self.read(partial(transfers.part_record, transfer_id=transfer_id, item=item))

    async def resumable(self) -> frozenset[int]:
        """As the port says."""
        return await self.read(transfers.resumable)

    async def save_part(self, record: PartRecord) -> None:
        """As the port says."""
        await self.write(partial(transfers.save_part, record=record))


def _summary(database: sqlite3.Connection) -> Summary:
    in_trash, trash_bytes = retention.trash_figures(database)
    return Summary(
        troubles=troubles.first(database, _FEW),
        by_state=transfers.by_state(database),
        published_bytes=transfers.published_bytes(database),
        projects=discovery.all_progress(database),
        watched_pipelines=discovery.count_watched(database),
        at_risk=transfers.at_risk(database, _FEW),
        failures=transfers.failures(database, _FEW),
        keeps_due=keeps.count_due(database),
        keeps=tuple(entry for _, entry in keeps.entries(database, limit=_FEW)),
        counts=counters.every(database),
        last_verified=verification.last_verified(database),
        oldest_verified=verification.oldest_verified(database),
        retention=retention.look(database),
        in_trash=in_trash,
        trash_bytes=trash_bytes,
        pins=len(retention.pins(database)),
    )

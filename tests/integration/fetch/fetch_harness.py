"""A Fetcher with the real client, store and state, against one raw server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from artifact_sync.core.events import Event
from artifact_sync.core.model import Item, Job, StagedFile, Transfer
from artifact_sync.core.timetable import Timetable
from artifact_sync.fetch import Bandwidth, Fetcher, FetchPolicy
from artifact_sync.gitlab import Client, ClientOptions, NoToken, ServerClock
from artifact_sync.ports import Clock, PartRecord, Progress, QueuedTransfer
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore


@dataclass
class Harness:
    """What a test drives and looks at."""

    fetcher: Fetcher
    store: LocalStore
    state: SqliteState
    queued: QueuedTransfer
    staging: Path
    events: list[Event] = field(default_factory=list)

    async def fetch(self) -> StagedFile:
        """Fetch the one item."""
        (staged,) = await self.fetcher.fetch(self.queued)
        return staged

    def bytes_of(self, staged: StagedFile) -> bytes:
        """What lies in staging for it."""
        return (self.staging / staged.part).read_bytes()

    @property
    def parts(self) -> dict[str, int]:
        """The parts in staging, with their sizes."""
        return {path.name: path.stat().st_size for path in self.staging.iterdir() if path.name.endswith(".part")}

    async def record(self) -> PartRecord | None:
        """What the state remembers of the item's part."""
        return await self.state.part_record(self.queued.id, self.queued.transfer.items[0].name)


@asynccontextmanager
async def harness(
    path: Path,
    url: str,
    item: Item,
    *,
    silence: float = 1.0,
    max_size: int | None = None,
    at: Clock | None = None,
    timetable: Timetable | None = None,
    **policy: Any,
) -> AsyncIterator[Harness]:
    """A process on the store and state below ``path``, with a transfer of ``item`` claimed from the queue.

    The fetcher alone goes by the clock ``at``; its ``timetable`` is in UTC.
    """
    clock = ServerClock()
    at = at or clock
    options = ClientOptions(
        base_url=url,
        token=NoToken(),
        keep_token=None,
        ca_file=None,
        proxy=None,
        per_minute=60_000,
        keep_share=0.1,
        concurrency=4,
        timeout=silence,
        redirect_hosts=(),
        attempts=1,
    )
    job = Job(id=7, name="build", status="success")
    transfer = Transfer(
        project_id=1, project_path="g/p", job=job, rules=("r",), items=(item,), dest="g/p/7", max_size=max_size
    )
    async with (
        Client(options, clock=clock) as remote,
        LocalStore.open(path / "store", min_free=0) as store,
        SqliteState.open(path / "state.db") as state,
    ):
        queue = EmbeddedQueue(state)
        await state.save_progress(Progress(project_id=1, path="g/p"), found=[transfer], now=clock.now())
        for known in await state.unfinished():
            await queue.release(known.id)
        queued = await queue.claim(clock.now())
        assert queued is not None
        events: list[Event] = []
        fetcher = Fetcher(
            remote,
            store,
            state,
            clock=at,
            policy=FetchPolicy(**{"min_rate": 1, "min_free": 0, "batch": 64 * 1024} | policy),
            emit=events.append,
            bandwidth=Bandwidth(timetable or Timetable(), clock=at, zone=UTC),
        )
        yield Harness(fetcher, store, state, queued, path / "store" / ".staging", events)

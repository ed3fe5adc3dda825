"""A clock that tests drive, and a fetcher that does as it is told, on a real store, state and queue."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio

from artifact_sync.core.events import Event
from artifact_sync.core.model import Item, Job, StagedFile, Transfer
from artifact_sync.engine import EnginePolicy
from artifact_sync.engine.workers import Workers
from artifact_sync.ports import Progress, QueuedTransfer
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
E = TypeVar("E")
Step = Exception | Callable[[QueuedTransfer], Awaitable[None]] | None


class DrivenClock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeping: list[float] = []
        self._changed = anyio.Event()

    def now(self) -> datetime:
        """The start, and what has passed since."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """What has passed."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Until ``advance`` reached so far."""
        end = self.seconds + seconds
        self.sleeping.append(end)
        try:
            while self.seconds < end:
                await self._changed.wait()
        finally:
            self.sleeping.remove(end)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self._changed.set()
        self._changed = anyio.Event()


@dataclass
class ScriptedFetcher:
    """Stages a few bytes; before that it goes through the steps of its script, one for each call."""

    store: LocalStore
    script: list[Step] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        """As ``Fetches``."""
        self.calls.append(queued.transfer.job.id)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await step(queued)
        data = f"job {queued.transfer.job.id}".encode()
        part = await self.store.part(f"{queued.id}-0.part")
        await part.append(data)
        digest, size = await part.finish()
        assert digest == hashlib.sha256(data).hexdigest()
        return (StagedFile(name="job.log", part=part.name, sha256=digest, size=size),)


@dataclass
class Bench:
    """Workers and what they work on."""

    workers: Workers
    fetcher: ScriptedFetcher
    clock: DrivenClock
    store: LocalStore
    state: SqliteState
    queue: EmbeddedQueue
    events: list[Event]

    async def add(self, *job_ids: int, deadline: datetime | None = None) -> None:
        """Queue a transfer of each job's log."""
        found = [
            Transfer(
                project_id=1,
                project_path="acme/app",
                job=Job(id=job_id, name="build", status="success"),
                rules=("r",),
                items=(Item(kind="trace", name="job.log"),),
                dest=f"acme/app/{job_id}",
                deadline=deadline,
            )
            for job_id in job_ids
        ]
        await self.state.save_progress(Progress(project_id=1, path="acme/app"), found=found, now=self.clock.now())

    async def transfer(self, job_id: int) -> QueuedTransfer:
        """As the state has it now."""
        (queued,) = await self.state.find(1, job_id)
        return queued

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def bench(path: Path, policy: EnginePolicy, *script: Step) -> AsyncIterator[Bench]:
    """A store and a state below ``path``."""
    clock = DrivenClock()
    events: list[Event] = []
    async with LocalStore.open(path / "store") as store, SqliteState.open(path / "state.db") as state:
        queue, fetcher = EmbeddedQueue(state), ScriptedFetcher(store, list(script))
        workers = Workers(queue=queue, store=store, fetcher=fetcher, clock=clock, policy=policy, emit=events.append)
        yield Bench(workers, fetcher, clock, store, state, queue, events)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds. Raises TimeoutError."""
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110 -- what is waited for rings no bell
            await anyio.sleep(0.005)

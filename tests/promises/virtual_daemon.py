"""A daemon in virtual time: the real client, store, state, queue and fetcher, started, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from anyio import CancelScope

from artifact_sync.core.events import Event
from artifact_sync.core.rules import Rule
from artifact_sync.engine import Engine, EnginePolicy, keeper, workers
from artifact_sync.fetch import Fetcher, FetchPolicy
from artifact_sync.gitlab import Client, ClientOptions, EnvToken, ServerClock
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.simulator import TOKEN, World
from artifact_sync.state import SqliteState, schema, thread
from artifact_sync.store import LocalStore
from tests.promises.virtual_loop import Census
from tests.promises.virtual_time import VirtualClock, VirtualTime

__all__ = ["VirtualDaemon", "folder"]

T = TypeVar("T")

#: Where fsync costs nothing, where there is such a place.
_MEMORY = Path("/dev/shm")


@contextmanager
def folder() -> Iterator[Path]:
    """A directory for one world's mirror."""
    with tempfile.TemporaryDirectory(prefix="promise-", dir=_MEMORY if _MEMORY.is_dir() else None) as made:
        yield Path(made)


class _Database:
    """Runs calls as ``DatabaseThread`` does, but at once and here, so that a run is the same each time, and faster."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    async def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        with CancelScope(shield=True):
            await asyncio.sleep(0)
        call = thread._Call(work=work, writes=writes, answered=asyncio.get_running_loop().create_future())
        thread._transact(self._database, [call])
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result


@contextmanager
def _opened(path: Path) -> Iterator[SqliteState]:
    with contextlib.closing(schema.connect(path)) as database:
        yield SqliteState(_Database(database))  # type: ignore[arg-type]  # all that it needs of a DatabaseThread


@dataclass(kw_only=True)
class VirtualDaemon:
    """One mirror, and the lives of the daemon that fills it."""

    world: World
    path: Path
    time: VirtualTime
    census: Census
    rules: Sequence[Rule]
    policy: EnginePolicy
    per_minute: int = 600_000
    keep_share: float = 0.1
    off: timedelta = timedelta()
    attempts: int = 2
    lives: int = 0
    events: list[Event] = field(default_factory=list)
    state: SqliteState | None = None
    remote: Client | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _running: asyncio.Task[None] | None = None
    _turns_left: int = 0

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self._running is not None

    async def start(self) -> None:
        """Open everything and run; recovery comes first."""
        assert self._running is None
        self.lives += 1
        engine = await self._stack.enter_async_context(self._parts())
        await engine.recover()
        self._running = asyncio.create_task(engine.run())
        self._running.add_done_callback(lambda _: self.time.interrupt())

    async def stop(self) -> None:
        """Cancel it wherever it is, and close everything."""
        if self._running is None:
            return
        running, self._running = self._running, None
        ended = running.done()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self.census.exchanging = lambda: False
        await self._stack.aclose()
        assert not ended, "the daemon ended by itself"

    async def cut(self, turns: int) -> bool:
        """Stop it in the middle of what it does within the next hours, after so many turns; whether it did anything."""
        self._turns_left = turns
        self.census.turn = self._count
        try:
            await self.time.until(self.time.now() + timedelta(hours=5))
        finally:
            self.census.turn = lambda: None
        await self.stop()
        return self._turns_left <= 0

    def _count(self) -> None:
        if self.census.in_threads or self.census.exchanging():
            self._turns_left -= 1
            if self._turns_left <= 0:
                self.time.interrupt()

    async def until(self, moment: Any) -> None:
        """Let time pass. Raises what the daemon ended with, if it did."""
        await self.time.until(moment)
        if self._running is not None and self._running.done():
            await self.stop()

    @asynccontextmanager
    async def _parts(self) -> AsyncIterator[Engine]:
        clock = ServerClock(VirtualClock(self.time, off=self.off))
        options = ClientOptions(
            base_url=self.world.url,
            token=EnvToken("TOKEN", environ={"TOKEN": TOKEN}),
            per_minute=self.per_minute,
            keep_share=self.keep_share,
            attempts=self.attempts,
        )
        async with (
            Client(options, clock=clock) as remote,
            LocalStore.open(self.path / "store", min_free=0) as store,
        ):
            state = self._stack.enter_context(_opened(self.path / "state.db"))
            transport = remote._transport
            connectors = [session.connector for session in (transport._api, transport._own, transport._foreign)]
            self.census.exchanging = lambda: any(connector._acquired for connector in connectors)  # type: ignore[union-attr]
            self.state, self.remote = state, remote
            # Looking for work without being woken is for several daemons on one queue; here it would cost most of the time.
            workers._LOOK = keeper._LOOK = 3600.0
            fetching = FetchPolicy(min_rate=1, min_free=0)
            fetcher = Fetcher(remote, store, state, clock=clock, policy=fetching, emit=self.events.append)
            yield Engine(
                remote=remote,
                store=store,
                state=state,
                queue=EmbeddedQueue(state),
                fetcher=fetcher,
                clock=clock,
                rules=self.rules,
                policy=self.policy,
                emit=self.events.append,
            )

    def mirrored(self) -> dict[tuple[str, int], str]:
        """sha256 of every archive in the tree, by the rule and the job id in its path: ``RULE/PROJECT/JOB/``."""
        tree = self.path / "store" / "tree"
        return {
            (file.parts[-4], int(file.parts[-2])): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in tree.rglob("artifacts.zip")
        }

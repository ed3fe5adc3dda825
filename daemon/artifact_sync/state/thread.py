"""One thread that owns the database, and one commit for all who wait for one.

A commit under ``synchronous=FULL`` costs an fsync; the calls that gathered while the last one ran share the next. Each has
its savepoint, so that one's failure is its own, and nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CancelScope

from artifact_sync.errors import NoSpace, StateError
from artifact_sync.state.ballast import Ballast
from artifact_sync.state.trouble import judged, unreadable

__all__ = ["DatabaseThread"]

T = TypeVar("T")

#: Calls that share one commit at most, so that the first of them does not wait for ever.
_BATCH = 256


@dataclass(slots=True, kw_only=True)
class _Call:
    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    answered: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class DatabaseThread:
    """Runs calls on a connection of its own, in order.

    It is a daemon thread: a program that forgets to close it still ends, and what was answered is durable anyway.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, ballast: Ballast | None = None) -> None:
        self._connect = connect
        self._ballast = ballast
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._opened: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)

    async def start(self) -> None:
        """Open the database. Raises what ``connect`` raises."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await _settled(asyncio.wrap_future(self._opened))

    async def call(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        """Run ``work`` in a transaction; its result once that is durable.

        A cancellation waits for the answer, which the caller then has in hand. ``work`` must be repeatable in the sense
        that it may be rolled back. Raises what ``work`` raises, StateError, NoSpace.
        """
        if self._closing:
            raise StateError(
                "the state database is closed", hint="This is an error in artifact-sync: please report it."
            )
        call = _Call(work=work, writes=writes, answered=self._loop.create_future())
        self._calls.put(call)
        result: T = await _settled(call.answered)
        return result

    async def close(self) -> None:
        """Answer what waits, then close. Safe to call again."""
        if not self._closing:
            self._closing = True
            self._calls.put(None)
        await _settled(asyncio.wrap_future(self._ended))

    def _run(self) -> None:
        try:
            database = self._connected()
        except Exception as error:  # noqa: BLE001 - handed to the one who waits for it
            self._opened.set_exception(error)
            self._ended.set_result(None)
            return
        self._opened.set_result(None)
        try:
            while self._serve(database):
                pass
        finally:
            with suppress(sqlite3.Error):
                database.close()
            self._ended.set_result(None)

    def _connected(self) -> sqlite3.Connection:
        while True:
            try:
                database = self._connect()
            except NoSpace:
                if self._ballast is None or not self._ballast.give():
                    raise
            else:
                break
        if self._ballast is not None:
            self._ballast.hold()
        return database

    def _serve(self, database: sqlite3.Connection) -> bool:
        """Answer one batch; False when asked to end."""
        waiting: list[_Call | None] = [self._calls.get()]
        with suppress(queue.Empty):
            while waiting[-1] is not None and len(waiting) < _BATCH:
                waiting.append(self._calls.get_nowait())
        calls = [call for call in waiting if call is not None]
        if calls:
            _transact(database, calls)
            if self._ballast is not None:
                _relieve(database, calls, self._ballast)
            # Where the loop has ended nobody waits any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_answer, calls)
        return waiting[-1] is not None


def _answer(calls: Sequence[_Call]) -> None:
    """In the event loop, once for all: to wake it costs as much as a small call."""
    for call in calls:
        if call.answered.done():
            continue
        if call.error is not None:
            call.answered.set_exception(call.error)
        else:
            call.answered.set_result(call.result)


async def _settled(future: asyncio.Future[T]) -> T:
    with CancelScope(shield=True):
        result = await future
    return result  # noqa: RET504 - for all that mypy knows, the scope could swallow an error


def _transact(database: sqlite3.Connection, calls: Sequence[_Call]) -> None:
    try:
        # A writer takes its lock at once: one that becomes a writer later may find that it cannot.
        database.execute("BEGIN IMMEDIATE" if any(call.writes for call in calls) else "BEGIN")
        for call in calls:
            _run_one(database, call, alone=len(calls) == 1)
        database.execute("ROLLBACK" if len(calls) == 1 and calls[0].error is not None else "COMMIT")
    except (sqlite3.Error, ValueError) as error:
        # After a full disk or a failed write SQLite may have rolled everything back: then nobody's work was done.
        failed = _failed(error, "writing the state database")
        failed.__cause__ = error
        if database.in_transaction:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        for call in calls:
            call.error = call.error or failed


def _relieve(database: sqlite3.Connection, calls: Sequence[_Call], ballast: Ballast) -> None:
    """Do again with a part of the ballast's space what found none; without need, see that the ballast is whole again."""
    while starved := [call for call in calls if isinstance(call.error, NoSpace)]:
        if not ballast.give():
            return
        # What the log holds can go into the database; then the log is written from its beginning, and need not grow.
        with suppress(sqlite3.Error):
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for call in starved:
            call.error = None
        _transact(database, starved)
    ballast.hold()


def _failed(error: sqlite3.Error | ValueError, doing: str) -> StateError | NoSpace:
    # Also SQLite's own errors come as UnicodeDecodeError, where they quote a damaged schema.
    return judged(error, doing) if isinstance(error, sqlite3.Error) else unreadable(error, doing)


def _run_one(database: sqlite3.Connection, call: _Call, *, alone: bool) -> None:
    """Do the work of one call. What fails is undone: to its savepoint, or with the whole transaction where it is ``alone`` there."""
    apart = call.writes and not alone
    if apart:
        database.execute("SAVEPOINT call")
    try:
        call.result = call.work(database)
    except Exception as error:
        if isinstance(error, sqlite3.Error | ValueError):
            call.error = _failed(error, "using the state database")
            call.error.__cause__ = error
        else:
            call.error = error
        if not database.in_transaction:
            raise
        if apart:
            database.execute("ROLLBACK TO call")
    if apart:
        database.execute("RELEASE call")

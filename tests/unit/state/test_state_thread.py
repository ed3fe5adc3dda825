"""Calls of the database's thread: one commit for all that gathered, and each one's failure its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from artifact_sync.errors import NoSpace, NotFound, StateError
from artifact_sync.state.thread import DatabaseThread

WAIT = 10


@asynccontextmanager
async def opened(path: Path, said: list[str]) -> AsyncIterator[DatabaseThread]:
    """A thread on a table of numbers; what its connection runs is noted."""

    def connect() -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("CREATE TABLE number (value INTEGER PRIMARY KEY)")
        database.set_trace_callback(said.append)
        return database

    thread = DatabaseThread(connect)
    await thread.start()
    try:
        yield thread
    finally:
        await thread.close()


def numbers(database: sqlite3.Connection) -> list[int]:
    """What the table holds."""
    return [row[0] for row in database.execute("SELECT value FROM number ORDER BY value")]


def insert(value: int, *, then: Exception | None = None) -> Callable[[sqlite3.Connection], int]:
    """A write, which may fail when it has written."""

    def work(database: sqlite3.Connection) -> int:
        database.execute("INSERT INTO number VALUES (?)", (value,))
        if then is not None:
            raise then
        return value

    return work


@pytest.mark.parametrize("fault", [StateError("no", hint=""), None], ids=["an error of its own", "SQLite's"])
async def test_a_call_that_fails_alone_has_done_nothing(tmp_path, fault):
    """Its whole transaction is undone, and the next one begins anew."""
    async with opened(tmp_path / "db", []) as thread:
        await thread.call(insert(1), writes=True)
        with pytest.raises(StateError):
            await thread.call(insert(2 if fault else 1, then=fault), writes=True)
        assert await thread.call(numbers, writes=False) == [1]
        assert await thread.call(insert(3), writes=True) == 3
    with sqlite3.connect(tmp_path / "db") as database:
        assert numbers(database) == [1, 3]


async def test_calls_that_gather_share_a_commit_and_not_their_failures(tmp_path):
    """Those that came while the thread was busy: the one that fails is undone, the others are durable, reads see them."""
    said: list[str] = []
    begun, go = threading.Event(), threading.Event()
    results: dict[int, object] = {}

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        assert go.wait(WAIT)

    async with opened(tmp_path / "db", said) as thread:

        async def call(value: int, then: Exception | None) -> None:
            try:
                results[value] = await thread.call(insert(value, then=then), writes=True)
            except NotFound as error:
                results[value] = str(error)

        async def read() -> None:
            results[-1] = await thread.call(numbers, writes=False)

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: thread.call(hold, writes=False))
            await anyio.to_thread.run_sync(begun.wait, WAIT)
            for value in (1, 2, 3):
                group.start_soon(call, value, NotFound("GET /x", "it", hint="") if value == 2 else None)
            group.start_soon(read)
            await anyio.sleep(0.05)
            go.set()
    assert (results[1], results[3], results[-1]) == (1, 3, [1, 3])
    assert "it" in str(results[2])
    assert said.count("COMMIT") == 2
    with sqlite3.connect(tmp_path / "db") as database:
        assert numbers(database) == [1, 3]


async def test_a_full_disk_undoes_everything(tmp_path):
    """SQLite has rolled back then, and the thread goes on."""
    async with opened(tmp_path / "db", []) as thread:
        await thread.call(lambda database: database.execute("PRAGMA max_page_count = 2"), writes=False)
        with pytest.raises(NoSpace):
            await thread.call(
                lambda database: database.executemany(
                    "INSERT INTO number VALUES (?)", ((value,) for value in range(10_000))
                ),
                writes=True,
            )
        assert await thread.call(numbers, writes=False) == []


async def test_a_cancelled_call_has_its_answer_in_hand(tmp_path):
    """What was begun is done and durable."""
    begun, go = threading.Event(), threading.Event()

    def slow(database: sqlite3.Connection) -> int:
        begun.set()
        assert go.wait(WAIT)
        return insert(7)(database)

    answers: list[int] = []
    async with opened(tmp_path / "db", []) as thread:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                answers.append(await thread.call(slow, writes=True))

            group.start_soon(call)
            await anyio.to_thread.run_sync(begun.wait, WAIT)
            group.cancel_scope.cancel()
            go.set()
        assert answers == [7]
        assert await thread.call(numbers, writes=False) == [7]
    with pytest.raises(StateError, match="closed"):
        await thread.call(numbers, writes=False)

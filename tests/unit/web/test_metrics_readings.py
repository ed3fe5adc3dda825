"""Figures are read seldom, by one reader at a time, and nobody waits for them without end."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from artifact_sync.errors import StateError
from artifact_sync.web.metrics.figures import Readings
from artifact_sync.web.metrics.watching import heartbeat, tokens

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Reader:
    """Reads as a test wants it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        self.running = 0
        self.takes = 0.0
        self.fails: Exception | None = None
        self.go = anyio.Event()
        self.go.set()

    def monotonic(self) -> float:
        """The time."""
        return self.now

    async def read(self):
        """A number, as the figures."""
        self.running += 1
        assert self.running == 1
        try:
            await self.go.wait()
            self.now += self.takes
            self.count += 1
            if self.fails is not None:
                raise self.fails
            return self.count
        finally:
            self.running -= 1


@asynccontextmanager
async def reading():
    """A reader, and the readings that it makes."""
    reader = Reader()
    readings = Readings(reader.read, monotonic=reader.monotonic)
    async with anyio.create_task_group() as group:
        group.start_soon(readings.run)
        yield reader, readings
        group.cancel_scope.cancel()


async def test_what_was_read_is_good_for_a_while():
    """A hundred questions within ten seconds are one reading."""
    async with reading() as (reader, readings):
        assert [await readings.latest(5.0) for _ in range(100)] == [1] * 100
        reader.now += 9.9
        assert await readings.latest(5.0) == 1
        reader.now += 0.1
        assert await readings.latest(5.0) == 2


async def test_what_takes_long_is_read_seldom():
    """A twentieth of the time at most goes into it."""
    async with reading() as (reader, readings):
        reader.takes = 3.0
        assert await readings.latest(5.0) == 1
        reader.now += 59.9
        assert await readings.latest(5.0) == 1
        reader.now += 0.1
        assert await readings.latest(5.0) == 2


async def test_who_asks_gets_the_older_figures_when_new_ones_take_too_long():
    """And nothing where there are none; those who ask meanwhile share the reading that is under way."""
    async with reading() as (reader, readings):
        reader.go = anyio.Event()
        assert await readings.latest(0.05) is None
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await readings.latest(5.0))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            reader.go.set()
        assert answers == [1] * 20
        reader.now += 10
        reader.go = anyio.Event()
        assert await readings.latest(0.05) == 1
        reader.go.set()


@pytest.mark.parametrize("error", [StateError("damaged", hint="mend"), RuntimeError("a defect")])
async def test_a_reading_that_fails_is_counted_and_ends_nothing(error):
    """The older figures stay; it is tried again when they are old."""
    async with reading() as (reader, readings):
        assert await readings.latest(5.0) == 1
        reader.now += 10
        reader.fails = error
        assert await readings.latest(5.0) == 1
        assert readings.failures == 1
        reader.fails = None
        reader.now += 10
        assert await readings.latest(5.0) == 3


class HastyClock:
    """Sleeps for as long as it is told to, and a bit."""

    def __init__(self, late: float = 0.0) -> None:
        self.late = late
        self.at = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Some time."""
        return AT

    def monotonic(self) -> float:
        """The time."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """It passes at once."""
        self.slept.append(seconds)
        self.at += seconds + self.late
        await anyio.lowlevel.checkpoint()


async def test_the_heart_tells_how_late_each_beat_is():
    """By as much as the loop woke it late."""
    told: list[float] = []
    async with anyio.create_task_group() as group:

        def late(seconds: float) -> None:
            told.append(round(seconds, 6))
            if len(told) == 3:
                group.cancel_scope.cancel()

        group.start_soon(heartbeat, HastyClock(late=0.25), late)
    assert told == [0.25, 0.25, 0.25]


async def test_tokens_are_asked_about_only_while_somebody_reads_and_seldom():
    """Once for a reader, again six hours later; ten minutes after a failure."""
    clock, asked = HastyClock(), anyio.Event()
    known: list[Any] = []
    answers: list[Any] = [{"read": 1}, StateError("no"), {"read": 2}]

    class Remote:
        async def tokens(self):
            found = answers.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

    async with anyio.create_task_group() as group:
        remote: Any = Remote()
        group.start_soon(tokens, remote, clock, lambda: asked, known.append)
        await anyio.wait_all_tasks_blocked()
        assert known == []
        for expected in ([{"read": 1}], [{"read": 1}], [{"read": 1}, {"read": 2}]):
            waiting, asked = asked, anyio.Event()
            waiting.set()
            await anyio.wait_all_tasks_blocked()
            assert known == expected
        group.cancel_scope.cancel()
    assert clock.slept == [6 * 3600.0, 600.0, 6 * 3600.0]

"""Clocks that tests drive: one that stands still until it is moved, one whose waits are over at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
from anyio import lowlevel

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def settled() -> None:
    """Let every task do what it can without time passing; the loop's turns are more than any of them needs."""
    for _ in range(25):
        await lowlevel.checkpoint()


class StandingClock:
    """Moves by ``advance`` alone; whoever sleeps wakes on the way, in order."""

    def __init__(self) -> None:
        self._at = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._at)

    def monotonic(self) -> float:
        return self._at

    async def sleep(self, seconds: float) -> None:
        sleeper = (self._at + seconds, anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    @property
    def sleeping(self) -> int:
        """How many sleep."""
        return len(self._sleepers)

    def jump(self, seconds: float) -> None:
        """Let time pass in a test without tasks."""
        self._at += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass; everybody does what can be done at each moment."""
        end = self._at + seconds
        await settled()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            until, event = min(due, key=lambda sleeper: sleeper[0])
            self._at = max(self._at, until)
            event.set()
            await settled()
        self._at = end


class HastyClock:
    """Every sleep is over at once, and time has passed by it; ``passed`` is told how much."""

    def __init__(self, passed: Callable[[float], object] = lambda _: None) -> None:
        self._at = 0.0
        self._passed = passed
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._at)

    def monotonic(self) -> float:
        return self._at

    async def sleep(self, seconds: float) -> None:
        await lowlevel.checkpoint()
        self.sleeps.append(seconds)
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._at += seconds
        self._passed(seconds)

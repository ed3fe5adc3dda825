"""A clock that moves when nobody can do anything before it does."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from datetime import UTC, datetime, timedelta

from artifact_sync.simulator import SimClock
from tests.promises.virtual_loop import Census

__all__ = ["START", "VirtualClock", "VirtualTime"]

#: When every virtual world begins.
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
#: Wake-ups in one moment of virtual time after which somebody waits for nothing in a circle.
_TOO_OFTEN = 20_000


class VirtualTime:
    """Moves a world's clock to the next wake-up, as long as somebody waits for a moment of it."""

    def __init__(self, sim: SimClock, census: Census) -> None:
        self._sim = sim
        self._turns = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._waiting: tuple[datetime, asyncio.Future[None]] | None = None
        self._woken = 0
        self.slept = 0
        census.idle = self._idle

    def now(self) -> datetime:
        """World time."""
        return self._sim.now()

    async def sleep(self, seconds: float) -> None:
        """Until the world is so much older; at least a microsecond, which is as fine as its clock is."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        # Who sleeps for years sleeps until the end of the test.
        end = self.now() + timedelta(microseconds=math.ceil(min(seconds, 1e9) * 1e6))
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (end, next(self._turns), done))
        await done

    async def until(self, moment: datetime) -> None:
        """Let time pass up to a moment, and everybody do until then what there is to do."""
        done = asyncio.get_running_loop().create_future()
        self._waiting = moment, done
        try:
            await done
        finally:
            self._waiting = None

    def interrupt(self) -> None:
        """Return from ``until`` now."""
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_result(None)

    def _idle(self) -> bool:
        if self._waiting is None:
            return False
        moment, done = self._waiting
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        now = self.now()
        if done.done():
            return True
        if not self._sleepers or self._sleepers[0][0] > moment:
            self._sim.advance(max(timedelta(), moment - now))
            done.set_result(None)
            return True
        soonest = self._sleepers[0][0]
        self._woken = 0 if soonest > now else self._woken + 1
        assert self._woken < _TOO_OFTEN, f"somebody waits in a circle at {now}"
        self._sim.advance(max(timedelta(), soonest - now))
        while self._sleepers and self._sleepers[0][0] <= soonest:
            done = heapq.heappop(self._sleepers)[2]
            if not done.done():
                done.set_result(None)
                self.slept += 1
        return True


class VirtualClock:
    """Implements ``ports.Clock``: the daemon's own clock, which may be wrong by ``off``."""

    def __init__(self, time: VirtualTime, *, off: timedelta = timedelta()) -> None:
        self._time = time
        self._off = off

    def now(self) -> datetime:
        """What the daemon's machine takes for the time."""
        return self._time.now() + self._off

    def monotonic(self) -> float:
        """Seconds since every world's beginning."""
        return (self._time.now() - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """As the port says."""
        await self._time.sleep(seconds)

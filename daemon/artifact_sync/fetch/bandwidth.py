"""The limit of all downloads together, in bytes a second."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import tzinfo

import anyio
import structlog

from artifact_sync.core.timetable import Timetable
from artifact_sync.ports import Clock
from artifact_sync.ports.steps import waiting

__all__ = ["Bandwidth", "Share"]

log = structlog.get_logger()

#: Seconds' worth of bytes that one turn takes, so that something small never waits for all of something large.
_SLICE = 0.1
#: Seconds' worth that an idle moment leaves for the next one, so that a late wake-up costs nothing.
_SPARE = 0.2
#: Bytes of either, at least.
_LEAST = 1.0
#: Seconds for which an answer of the timetable is relied on: clocks are put forward and back.
_RELIED_ON = 60.0


@dataclass(slots=True)
class Share:
    """One transfer's, whatever number of connections it has."""

    #: Bytes that it had, or missed while it wanted none.
    served: float = 0.0


@dataclass(slots=True, eq=False)
class _Waiter:
    share: Share
    turn: int
    called: anyio.Event = field(default_factory=anyio.Event)

    @property
    def rank(self) -> tuple[float, int]:
        return self.share.served, self.turn


class Bandwidth:
    """Lets as many bytes through as a timetable allows at this time of day, each share as many as any other.

    Bytes are counted when they have come, and whoever received them waits before it reads on, so that TCP slows the peer
    down. One waits for the clock at a time and the others for their turn, which goes to the share that had least; so no
    share has to wait for another one's backlog. A cancelled wait leaves nothing behind.
    """

    def __init__(
        self, timetable: Timetable, *, clock: Clock, zone: tzinfo | None = None, renewable: bool = False
    ) -> None:
        """``clock``: of the machine that the timetable is about. ``zone``: the timetable's; None: the machine's.

        ``renewable``: there may be another timetable at any time (``renew``).
        """
        self._timetable = timetable
        self._renewable = renewable
        self._clock = clock
        self._zone = zone
        self._limit: int | None = None
        self._known_until = float("-inf")
        #: Bytes that may pass at once, as of ``_filled_at``.
        self._spare = 0.0
        self._filled_at = 0.0
        self._waiting: list[_Waiter] = []
        self._serving: _Waiter | None = None
        self._turns = itertools.count()
        #: What the share had that was served last: a share that wanted nothing meanwhile has no claim to more.
        self._least = 0.0

    @property
    def unlimited(self) -> bool:
        """Whether there is never a limit, and never will be."""
        return self._timetable.unlimited and not self._renewable

    @property
    def limit(self) -> int | None:
        """Bytes a second at present; None: no limit."""
        now = self._clock.monotonic()
        if now >= self._known_until:
            self._fill(now)
            self._look(now)
        return self._limit

    def renew(self, timetable: Timetable) -> None:
        """Another timetable from now on, also for what is under way."""
        self._timetable = timetable
        self._known_until = float("-inf")

    async def admit(self, share: Share, size: int) -> None:
        """Wait until ``size`` bytes that were received are within the limit."""
        left = float(size)
        while left > 0 and self.limit is not None:
            with waiting():
                async with self._turn(share):
                    left -= await self._serve(share, left)

    @asynccontextmanager
    async def _turn(self, share: Share) -> AsyncIterator[None]:
        share.served = max(share.served, self._least)
        waiter = _Waiter(share, next(self._turns))
        self._waiting.append(waiter)
        try:
            self._call()
            await waiter.called.wait()
            while (first := self._first()) is not waiter:
                # Who had the last turn has more at hand by now, and has had less than this one all the same.
                waiter.called = anyio.Event()
                self._give(first)
                await waiter.called.wait()
            self._least = share.served
            yield
        finally:
            self._waiting.remove(waiter)
            if self._serving is waiter:
                self._serving = None
                self._call()

    def _call(self) -> None:
        """Give the turn to the next one, if nobody has it."""
        if self._serving is None and self._waiting:
            self._give(self._first())

    def _first(self) -> _Waiter:
        return min(self._waiting, key=lambda waiter: waiter.rank)

    def _give(self, waiter: _Waiter) -> None:
        self._serving = waiter
        waiter.called.set()

    async def _serve(self, share: Share, left: float) -> float:
        """How many of ``left`` bytes are through, after a wait of a second at most: then the limit is looked at again."""
        limit = self.limit
        if limit is None:
            return left
        self._fill(self._clock.monotonic())
        size = min(left, max(_LEAST, limit * _SLICE))
        wait = (size - self._spare) / limit
        if wait > 0:
            await self._clock.sleep(wait)
            self._fill(self._clock.monotonic())
        # Perhaps a sliver less than nothing is left then, where the clock is not as fine as the number.
        self._spare -= size
        share.served += size
        return size

    def _fill(self, now: float) -> None:
        """Add what the limit up to ``now`` allowed."""
        if self._limit is not None:
            most = max(2 * _LEAST, self._limit * _SPARE)
            self._spare = min(most, self._spare + (now - self._filled_at) * self._limit)
        self._filled_at = now

    def _look(self, now: float) -> None:
        """Ask the timetable. A time of day is the machine's at this moment, in whatever way its clock was put."""
        local = self._clock.now().astimezone(self._zone)
        at = local.time()
        limit, change = self._timetable.limit(at), self._timetable.until_change(at)
        self._known_until = now + (_RELIED_ON if change is None else min(_RELIED_ON, change.total_seconds()))
        if limit != self._limit:
            log.info("bandwidth.changed", bytes_per_second=limit, at=f"{local:%H:%M %Z}")
            self._limit = limit

"""One budget for every request to GitLab: a rate, a share of it that is `keep`'s alone, and a number at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio

from artifact_sync.gitlab.bucket import Bucket
from artifact_sync.gitlab.traffic import Minute
from artifact_sync.ports import Clock, Priority
from artifact_sync.ports.steps import waiting

__all__ = ["Budget"]

#: What a 429 makes of the rate, at most down to the least part of it; it grows back by a quarter each quiet minute.
_HARD, _GENTLY = 0.5, 0.9
_LEAST = 1 / 16
#: A limit refuses whatever is asked next, too. What may be asked again at once is taken for one when so many were refused in
#: a row: noise of three in a hundred would otherwise bring the rate to its least for ever.
_A_LIMIT = 3
_GROWTH = 1.25
_QUIET = 60.0
#: A minute at the full rate, behind a second's worth at once: a server that counts by the minute sees no more than it may.
_SECONDS = 61
#: How many that ask later may go before. So downloads without an end leave something to discovery: what is not known of
#: cannot be mirrored.
_PATIENCE = {Priority.DOWNLOAD: 0, Priority.POLL: 30, Priority.BACKFILL: 60, Priority.AUDIT: 300}


@dataclass(slots=True, order=True)
class _Waiter:
    #: Keeps before all others; those in order of asking, and of their patience.
    rank: tuple[bool, int]
    turn: int
    priority: Priority = field(compare=False)
    granted: bool = field(default=False, compare=False)


class Budget:
    """Grants requests by priority, as long as nobody waits too long for it, and equals in order of asking.

    KEEP has ``keep_share`` of the rate for itself, goes first for the rest, and has one slot above ``concurrency``: no
    number of waiting downloads can hold it up. A cancelled wait leaves nothing behind. No minute has more than
    ``per_minute`` requests, from 60 a minute on.
    """

    def __init__(self, clock: Clock, *, per_minute: float, keep_share: float, concurrency: int) -> None:
        self._clock = clock
        self._slots = concurrency
        self._active = 0
        self._turn = 0
        self._waiting: list[_Waiter] = []
        self._changed = anyio.Event()
        #: How many were granted to each.
        self.granted: Counter[Priority] = Counter()
        #: What is configured.
        self.per_minute = per_minute
        self._minute = Minute()
        now = clock.monotonic()
        second = per_minute / _SECONDS
        self._general = Bucket(second * (1 - keep_share), now)
        self._keep = Bucket(second * keep_share, now)
        self._factor = 1.0
        self._slowed_at = now
        self._paused_until = now
        #: Requests refused since the last one that was not.
        self._refused = 0

    @property
    def factor(self) -> float:
        """The part of the configured rate that is asked for at present."""
        return self._factor

    @property
    def remaining(self) -> int:
        """Requests that may still go out in the minute that ends now."""
        spent = self._minute.count(self._clock.monotonic())
        return max(0, int(self.per_minute * self._factor) - spent)

    @property
    def paused(self) -> float:
        """Seconds until any request may go out."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def resize(self, *, per_minute: float, keep_share: float, concurrency: int) -> None:
        """Other limits from now on; those who wait go on waiting by them."""
        now = self._clock.monotonic()
        self._recover(now)
        second = per_minute / _SECONDS
        self.per_minute = per_minute
        self._slots = concurrency
        self._general.resize(second * (1 - keep_share), self._factor, now)
        self._keep.resize(second * keep_share, self._factor, now)
        self._wake()

    @asynccontextmanager
    async def permit(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for one request's worth of the rate and hold a slot for as long as the block lasts."""
        with waiting():
            await self._acquire(priority)
        try:
            yield
        finally:
            self._active -= 1
            self._wake()

    def pause(self, seconds: float) -> None:
        """Ask nothing for so long: the server's quota is used up."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)
        self._wake()

    def slow_down(self, wait: float | None = None) -> None:
        """Ask less often from now on, and recover slowly; the answers of one moment count as one.

        ``wait``: the seconds for which nothing is to be asked, where the server says so itself. Then it is done gently, and
        where they are none, only if it refuses again and again.
        """
        self._refused += 1
        if wait is not None and wait <= 0 and self._refused < _A_LIMIT:
            return
        now = self._clock.monotonic()
        if self._factor == 1.0 or now - self._slowed_at > 1.0:
            self._set_factor(max(_LEAST, self._factor * (_HARD if wait is None else _GENTLY)), now)
            self._slowed_at = now

    def welcomed(self) -> None:
        """The server took a request."""
        self._refused = 0

    async def _acquire(self, priority: Priority) -> None:
        self._turn += 1
        keep = priority is Priority.KEEP
        rank = (not keep, self._turn + (0 if keep else _PATIENCE[priority]))
        waiter = _Waiter(rank, self._turn, priority)
        self._waiting.append(waiter)
        try:
            while not waiter.granted:
                changed = self._changed
                wait = self._serve(waiter)
                if wait is None:
                    await changed.wait()
                elif wait > 0:
                    await _first(partial(self._clock.sleep, wait), changed.wait)
        finally:
            self._waiting.remove(waiter)
            self._wake()

    def _serve(self, waiter: _Waiter) -> float | None:
        """Grant it now (0), or say in how many seconds it may be its turn; None: only after somebody else."""
        keep = waiter.priority is Priority.KEEP
        if waiter is not min(self._waiting) or self._active >= self._slots + keep:
            return None
        now = self._clock.monotonic()
        if now < self._paused_until:
            return self._paused_until - now
        self._recover(now)
        buckets = (self._keep, self._general) if keep else (self._general,)
        waits = [bucket.wait(now) for bucket in buckets]
        if min(waits) > 0:
            return min(waits)
        buckets[waits.index(0.0)].take(now)
        self._active += 1
        self.granted[waiter.priority] += 1
        self._minute.add(now)
        waiter.granted = True
        return 0.0

    def _recover(self, now: float) -> None:
        while self._factor < 1.0 and now - self._slowed_at >= _QUIET:
            self._slowed_at += _QUIET
            self._set_factor(min(1.0, self._factor * _GROWTH), now)

    def _set_factor(self, factor: float, now: float) -> None:
        self._factor = factor
        for bucket in (self._general, self._keep):
            bucket.scale(factor, now)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


async def _first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait until one of them has ended."""

    async def one(wait: Callable[[], Awaitable[object]]) -> None:
        await wait()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for wait in waits:
            group.start_soon(one, wait)

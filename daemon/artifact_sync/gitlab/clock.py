"""Time: the machine's, and GitLab's as its ``Date`` headers tell it."""

from __future__ import annotations

import time
from collections import deque
from datetime import MAXYEAR, UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median

import anyio

from artifact_sync.ports import Clock

__all__ = ["ServerClock", "SystemClock"]

_SAMPLES = 9
#: A Date header is cut to whole seconds; half of one is missing on average.
_CUT = timedelta(seconds=0.5)
#: Two samples that agree, and are off by more than this, tell of a step of the local clock.
_STEP = 60.0


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""
        await anyio.sleep(max(0.0, seconds))


class ServerClock:
    """GitLab's time, because expiries are on its clock: the local one plus the median skew of the last few answers."""

    def __init__(self, local: Clock | None = None) -> None:
        self._local: Clock = local or SystemClock()
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self._skew = 0.0

    @property
    def skew(self) -> timedelta:
        """How far the server is ahead of the local clock; zero until an answer was observed."""
        return timedelta(seconds=self._skew)

    @property
    def local(self) -> Clock:
        """The clock that is corrected; ``observe`` takes its times."""
        return self._local

    def now(self) -> datetime:
        """The server's time in UTC."""
        return self._local.now() + self.skew

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return self._local.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""
        await self._local.sleep(seconds)

    def observe(self, date_header: str | None, sent: datetime, received: datetime) -> None:
        """Learn from an answer, asked for and received at these times of ``local``. A header that is no date is ignored."""
        try:
            served = parsedate_to_datetime(date_header or "")
        except (ValueError, OverflowError):
            return
        if served.tzinfo is None or served.year == MAXYEAR:
            # "-0000" is a time of unknown zone (RFC 5322 section 3.3), which HTTP does not have; and at the end of time
            # nothing can be added to it.
            return
        sample = (served + _CUT - (sent + (received - sent) / 2)).total_seconds()
        last = self._samples[-1] if self._samples else sample
        if abs(sample - self._skew) > _STEP and abs(last - self._skew) > _STEP and abs(sample - last) < _STEP:
            self._samples.clear()
            self._samples.append(last)
        self._samples.append(sample)
        self._skew = median(self._samples)

"""The time of a simulated world: the real one, an accelerated one, or one that a test moves by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

__all__ = ["SimClock"]


class SimClock:
    """World time in UTC.

    Real by default. ``factor`` makes it run faster than the wall clock; ``manual`` makes it stand still until
    ``advance``. ``start`` is the first instant, now by default.
    """

    def __init__(self, *, start: datetime | None = None, factor: float = 1.0, manual: bool = False) -> None:
        self._start = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._moved = timedelta()
        self.factor = 0.0 if manual else factor

    @classmethod
    def manual(cls, start: datetime | None = None) -> SimClock:
        """A clock that moves by ``advance`` alone."""
        return cls(start=start, manual=True)

    def now(self) -> datetime:
        """The current world time."""
        elapsed = (time.monotonic() - self._since) * self.factor
        return self._start + self._moved + timedelta(seconds=elapsed)

    def advance(self, step: float | timedelta) -> datetime:
        """Jump ahead by seconds or a timedelta; the new time."""
        self._moved += step if isinstance(step, timedelta) else timedelta(seconds=step)
        return self.now()

    def real_seconds(self, until: datetime) -> float | None:
        """Wall-clock seconds until a world time, at least 0; None on a clock that stands still before it."""
        left = (until - self.now()).total_seconds()
        if left <= 0:
            return 0.0
        return left / self.factor if self.factor else None

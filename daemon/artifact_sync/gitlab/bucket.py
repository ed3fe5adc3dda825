"""A token bucket."""

from __future__ import annotations

import math

__all__ = ["Bucket"]


class Bucket:
    """Gives ``rate`` a second, and at most one second's worth (at least one) at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._full_rate = self._rate = rate
        self._capacity = max(1.0, rate)
        # A bucket that never fills never gives, either.
        self._level = self._capacity if rate > 0 else 0.0
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until one can be taken; 0 when it can be now, infinity when it never can."""
        self._fill(now)
        if self._level >= 1.0:
            return 0.0
        # A little more than exact, so that rounding does not leave a sliver that is waited for again and again.
        return (1.0 - self._level) / self._rate + 1e-6 if self._rate > 0 else math.inf

    def take(self, now: float) -> None:
        """Take one; ``wait`` has said that it is there."""
        self._fill(now)
        self._level -= 1.0

    def scale(self, factor: float, now: float) -> None:
        """From now on give this part of the full rate."""
        self._fill(now)
        self._rate = self._full_rate * factor
        self._capacity = max(1.0, self._rate)
        self._level = min(self._level, self._capacity)

    def resize(self, rate: float, factor: float, now: float) -> None:
        """From now on the full rate is another one. What can be taken at once does not grow by that."""
        self._fill(now)
        self._full_rate = rate
        self.scale(factor, now)

    def _fill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now

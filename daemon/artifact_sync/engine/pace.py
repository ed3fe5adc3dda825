"""So many turns a minute in the long run, and a few of them at once."""

from __future__ import annotations

__all__ = ["Pace"]

#: Seconds of turns that may be taken at once after a quiet time.
_BURST = 10.0


class Pace:
    """Gives out turns in the order in which they are asked for. Times are monotonic seconds."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute
        #: When all turns so far would have been taken at the even rate.
        self._even = 0.0

    def reserve(self, now: float) -> float:
        """Take the next turn; when it is, now or later."""
        turn = max(now, self._even - _BURST)
        self._even = max(self._even, now) + self._gap
        return turn

    def charge(self, turns: int) -> None:
        """A turn took as much as so many more."""
        self._even += turns * self._gap

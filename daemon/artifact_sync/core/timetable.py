"""Which limit holds at which time of day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta

__all__ = ["Entry", "Timetable"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``limit`` bytes a second from ``start`` until before ``end``, over midnight where ``end`` is the earlier one."""

    start: time
    end: time
    limit: int

    def __post_init__(self) -> None:
        """Raise ValueError for what is no part of a day, or no limit that lets anything through."""
        if self.start == self.end or self.limit <= 0:
            raise ValueError(f"no limit for a part of a day: {self}")

    def holds(self, at: time) -> bool:
        """Whether a time of day lies in it."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """Limits in bytes a second by times of day, all of one zone; the first entry that holds decides.

    Nothing here knows of clocks that are put forward or back, so what is asked for one time of day is not to be relied on for long.
    """

    entries: tuple[Entry, ...] = ()
    #: Outside of every entry; None: no limit.
    otherwise: int | None = None

    @property
    def unlimited(self) -> bool:
        """Whether there is never a limit."""
        return not self.entries and self.otherwise is None

    def limit(self, at: time) -> int | None:
        """Bytes a second at a time of day; None: no limit."""
        return next((entry.limit for entry in self.entries if entry.holds(at)), self.otherwise)

    def until_change(self, at: time) -> timedelta | None:
        """How long after a time of day another limit holds, as the hands of a clock go; None: never."""
        edges = {edge for entry in self.entries for edge in (entry.start, entry.end)}
        here = self.limit(at)
        return min((_between(at, edge) for edge in edges if self.limit(edge) != here), default=None)


def _between(earlier: time, later: time) -> timedelta:
    """From one time of day to another, today or tomorrow."""
    return (_since_midnight(later) - _since_midnight(earlier)) % _DAY


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)

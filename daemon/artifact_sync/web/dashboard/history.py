"""Throughput and backlog over time: two rings, a fine one of hours and a coarse one of days."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["COARSE", "FINE", "History", "Sample"]

#: What a ring holds, and the time between two of its samples.
FINE = timedelta(hours=2), timedelta(seconds=10)
COARSE = timedelta(days=3), timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A moment, and the time since the one before."""

    at: datetime
    #: Bytes per second.
    rate: float
    #: Transfers that are wanted and not mirrored.
    waiting: int


class History:
    """Samples of the last hours and days."""

    def __init__(self) -> None:
        self.fine: deque[Sample] = deque(maxlen=FINE[0] // FINE[1])
        self.coarse: deque[Sample] = deque(maxlen=COARSE[0] // COARSE[1])
        self._gathered: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """One more, later than all before."""
        self.fine.append(sample)
        self._gathered.append(sample)
        if sample.at - self._gathered[0].at < COARSE[1] - FINE[1] and len(self._gathered) < COARSE[1] // FINE[1]:
            return
        rate = sum(one.rate for one in self._gathered) / len(self._gathered)
        self.coarse.append(Sample(at=sample.at, rate=rate, waiting=sample.waiting))
        self._gathered.clear()

"""Figures over everything: taken at most every few seconds, however many look, and remembered as samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.ports import Clock, TransferState
from artifact_sync.ports.overview import Backlog, Overview, RuleLag
from artifact_sync.web.dashboard.history import FINE, History, Sample
from artifact_sync.web.dashboard.live import Live

__all__ = ["OPEN", "SPANS", "Figures", "Gauge"]

log = structlog.get_logger()

#: How far ahead it is looked for what is at risk.
SPANS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
#: Wanted, and not mirrored yet.
OPEN = (TransferState.WANTED, TransferState.LOST, TransferState.DOWNLOADING, TransferState.STAGED)
#: Seconds for which figures are good, and the least share of the time in which none are taken.
_GOOD = 2.0
_REST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """As they were at one moment."""

    at: datetime
    lags: Sequence[RuleLag]
    #: For each of ``SPANS``.
    at_risk: Sequence[int]
    backlog: Mapping[TransferState, Backlog]

    @property
    def waiting(self) -> Backlog:
        """Everything that is wanted and not mirrored."""
        parts = [self.backlog.get(state, Backlog()) for state in OPEN]
        return Backlog(count=sum(part.count for part in parts), bytes=sum(part.bytes for part in parts))


class Gauge:
    """Takes figures, also for who does not look just now."""

    def __init__(
        self, overview: Overview, live: Live, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.history = History()
        self._overview = overview
        self._live = live
        self._clock = clock
        self._monotonic = monotonic
        self._lock = anyio.Lock()
        self._latest: Figures | None = None
        self._good_until = 0.0

    async def figures(self) -> Figures:
        """Of the last seconds. Raises StateError, NoSpace."""
        async with self._lock:
            began = self._monotonic()
            if self._latest is None or began >= self._good_until:
                now = self._clock.now()
                self._latest = Figures(
                    at=now,
                    lags=await self._overview.lags(),
                    at_risk=await self._overview.at_risk(now, SPANS),
                    backlog=await self._overview.backlog(),
                )
                ended = self._monotonic()
                self._good_until = ended + max(_GOOD, _REST * (ended - began))
            return self._latest

    async def run(self) -> None:
        """Take samples until cancelled."""
        before, received = self._monotonic(), self._live.received
        while True:
            await anyio.sleep(FINE[1].total_seconds())
            now, came = self._monotonic(), self._live.received
            try:
                waiting = (await self.figures()).waiting.count
            except ArtifactSyncError as error:
                log.warning("dashboard.no_figures", error=str(error), hint=error.hint)
                continue
            rate = (came - received) / max(now - before, 1e-3)
            self.history.add(Sample(at=self._clock.now(), rate=rate, waiting=waiting))
            before, received = now, came

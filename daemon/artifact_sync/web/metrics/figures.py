"""What is read of state, store and GitLab when somebody asks: one reading at a time, and not for every question."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.ports import Clock, TransferState
from artifact_sync.ports.disk import Disk, Space
from artifact_sync.ports.overview import Backlog, Overview, RuleLag, Standing
from artifact_sync.ports.traffic import Traffic

__all__ = ["WITHIN", "Figures", "Readings", "Sources"]

log = structlog.get_logger()

#: Spans in which artifacts expire, as they are told.
WITHIN: Mapping[str, timedelta] = {"1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24)}

#: Seconds that a reading is good for; more where it takes long, so that no more than this part of the time goes into it.
_FRESH, _PART = 10.0, 1 / 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the figures come from."""

    overview: Overview
    disk: Disk
    clock: Clock
    #: Names of the configured rules, and bytes of ``store.min_free``, as they are now.
    rules: Callable[[], Collection[str]]
    reserve: Callable[[], int]
    #: None: nobody counts it.
    traffic: Traffic | None = None
    #: How far GitLab's clock is ahead.
    skew: Callable[[], timedelta] = timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """As they were at one moment."""

    at: datetime
    lags: Sequence[RuleLag]
    #: As many as there are in ``WITHIN``, in its order.
    at_risk: Sequence[int]
    overdue: int
    backlog: Mapping[TransferState, Backlog]
    standing: Standing
    #: None: the disk did not tell.
    space: Space | None

    @classmethod
    async def read(cls, sources: Sources) -> Figures:
        """As they are now. Raises StateError, NoSpace."""
        now = sources.clock.now()
        overview = sources.overview
        overdue, *at_risk = await overview.at_risk(now, [timedelta(), *WITHIN.values()])
        return cls(
            at=now,
            at_risk=tuple(at_risk),
            overdue=overdue,
            lags=await overview.lags(),
            backlog=await overview.backlog(),
            standing=await overview.standing(),
            space=await _space(sources.disk),
        )


class Readings:
    """The last figures, read anew by ``run`` when somebody asks for them and they are old."""

    def __init__(
        self, read: Callable[[], Awaitable[Figures]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._wanted, self._done = anyio.Event(), anyio.Event()
        self._good_until = float("-inf")
        self._last: Figures | None = None
        #: How many failed.
        self.failures = 0

    async def run(self) -> None:
        """Read whenever it is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            began = self._monotonic()
            try:
                self._last = await self._read()
            except ArtifactSyncError as error:
                self.failures += 1
                log.warning("metrics.unread", error=str(error), hint=error.hint)
            except Exception:
                self.failures += 1
                # Whoever only watches must not end what is watched.
                log.exception("metrics.crashed")
            ended = self._monotonic()
            self._good_until = ended + max(_FRESH, (ended - began) / _PART)
            # A question that comes while this is read is answered by it.
            self._wanted = anyio.Event()
            self._done.set()
            self._done = anyio.Event()

    async def latest(self, patience: float) -> Figures | None:
        """The figures; older ones, or None, where new ones take more than ``patience`` seconds or cannot be read."""
        if self._monotonic() >= self._good_until:
            done = self._done
            self._wanted.set()
            with anyio.move_on_after(patience):
                await done.wait()
        return self._last


async def _space(disk: Disk) -> Space | None:
    try:
        return await disk.space()
    except ArtifactSyncError as error:
        log.warning("metrics.no_disk", error=str(error), hint=error.hint)
        return None

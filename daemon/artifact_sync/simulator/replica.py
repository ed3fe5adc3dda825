"""Lists out of a database replica that lags behind.

GitLab reads from replicas (lib/gitlab/database/load_balancing/load_balancer.rb; one is used while its lag is at most
``max_replication_difference`` or ``max_replication_lag_time``, by default 8 MiB or 60 s:
https://docs.gitlab.com/administration/postgresql/database_load_balancing/), and sticks to the primary only for who has just
written. So two requests can see a job end and then run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from artifact_sync.simulator.clock import SimClock
from artifact_sync.simulator.state import SimJob, SimPipeline

__all__ = ["Replica"]

R = TypeVar("R", SimJob, SimPipeline)
_NONE = timedelta()


class Replica:
    """The world as it was ``lag`` ago; as far back as the longest lag that was ever set, from then on."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._lag = self._longest = _NONE
        self._jobs: dict[int, list[tuple[datetime, SimJob]]] = {}
        self._pipelines: dict[int, list[tuple[datetime, SimPipeline]]] = {}

    @property
    def lag(self) -> timedelta:
        """How far it is behind."""
        return self._lag

    @lag.setter
    def lag(self, lag: timedelta) -> None:
        if lag < _NONE:
            raise ValueError(f"{lag} is no lag")
        self._lag = lag
        self._longest = max(lag, self._longest)

    def changing(self, job: SimJob) -> None:
        """Remember a job and its pipeline as they are, before something happens to them."""
        if not self._longest:
            return
        now = self._clock.now()
        self._remember(self._jobs, job, now)
        self._remember(self._pipelines, job.pipeline, now)

    def _remember(self, past: dict[int, list[tuple[datetime, R]]], record: R, now: datetime) -> None:
        known = past.setdefault(record.id, [])
        known[:] = [entry for entry in known if entry[0] > now - self._longest]
        known.append((now, copy.copy(record)))

    def jobs(self, jobs: Iterable[SimJob]) -> Iterator[SimJob]:
        """Those that it knows, as it knows them."""
        if not self._lag:
            yield from jobs
            return
        for job in jobs:
            pipeline = self.pipeline(job.pipeline)
            if pipeline is None or (seen := self._seen(self._jobs, job)) is None:
                continue
            seen = copy.copy(seen)
            seen.pipeline = pipeline
            seen.downstream = None if seen.downstream is None else self.pipeline(seen.downstream)
            yield seen

    def pipelines(self, pipelines: Iterable[SimPipeline]) -> Iterator[SimPipeline]:
        """Those that it knows, as it knows them."""
        for pipeline in pipelines:
            if (seen := self.pipeline(pipeline)) is not None:
                yield seen

    def pipeline(self, pipeline: SimPipeline) -> SimPipeline | None:
        """The pipeline as it knows it; None while it does not."""
        return pipeline if not self._lag else self._seen(self._pipelines, pipeline)

    def _seen(self, past: dict[int, list[tuple[datetime, R]]], record: R) -> R | None:
        moment = self._clock.now() - self._lag
        if record.created_at > moment:
            return None
        return next((old for until, old in past.get(record.id, ()) if until > moment), record)

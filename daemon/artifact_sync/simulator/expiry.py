"""When artifacts expire, what keeps them, and the sweep that really deletes them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from artifact_sync.simulator.state import SimJob, SimPipeline

__all__ = ["EVERY", "Sweeper", "archive_served", "expired", "locked", "newest_successful"]

#: config/initializers/1_settings.rb, expire_build_artifacts_worker: ``*/7 * * * *``.
EVERY = timedelta(minutes=7)
_EPOCH = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def expired(job: SimJob, now: datetime) -> bool:
    """Past ``artifacts_expire_at`` (app/models/concerns/ci/builds/has_artifacts.rb, ``artifacts_expired?``)."""
    return job.expire_at is not None and job.expire_at < now


def newest_successful(pipelines: list[SimPipeline]) -> SimPipeline | None:
    """The newest by id with status ``success`` (app/models/ci/pipeline.rb, ``latest_successful_for_ref``)."""
    return next((p for p in reversed(pipelines) if p.status == "success"), None)


def locked(pipeline: SimPipeline) -> bool:
    """Whether "keep latest artifacts" holds this pipeline's files.

    Those of the newest successful pipeline of the ref, and of every newer one until that is successful
    (https://gitlab.com/gitlab-org/gitlab/-/issues/266958). A child pipeline goes with its parent.
    """
    root = pipeline.root
    if not root.project.keep_latest:
        return False
    newest = newest_successful(root.project.by_ref.get((root.ref, root.tag), []))
    return newest is None or root.id >= newest.id


def archive_served(job: SimJob, now: datetime) -> bool:
    """``available_artifacts?``: an archive that is not expired, or whose pipeline is locked."""
    return job.archive is not None and (not expired(job, now) or locked(job.pipeline))


class Sweeper:
    """Deletes expired, unlocked artifacts at every seventh minute after ``start``.

    app/services/ci/job_artifacts/destroy_all_expired_service.rb: ``expired_before(start).artifact_unlocked``; the trace
    has no expiry and stays, and ``artifacts_expire_at`` remains a date in the past.
    """

    def __init__(
        self, start: datetime, *, every: timedelta = EVERY, going: Callable[[SimJob], None] = lambda _: None
    ) -> None:
        self.every = every
        #: Told of each job before its files go.
        self.going = going
        self._due: list[tuple[datetime, int, SimJob]] = []
        self._swept = start

    def watch(self, job: SimJob) -> None:
        """Remember a job that was given an expiry."""
        if job.expire_at is not None:
            heapq.heappush(self._due, (job.expire_at, job.id, job))

    def tick(self, now: datetime) -> list[SimJob]:
        """Sweep if the cron fired since the last call; the jobs whose files went."""
        fired = now - ((now - _EPOCH) % self.every)
        if fired <= self._swept:
            return []
        self._swept = fired
        return self.sweep(fired)

    def sweep(self, now: datetime) -> list[SimJob]:
        """Delete everything that expired before ``now`` and is not locked."""
        gone: list[SimJob] = []
        held: list[tuple[datetime, int, SimJob]] = []
        while self._due and self._due[0][0] < now:
            entry = heapq.heappop(self._due)
            job = entry[2]
            if job.expire_at != entry[0] or job.removed:
                continue  # kept or erased in the meantime
            if locked(job.pipeline):
                held.append(entry)
                continue
            self.going(job)
            job.removed = True
            gone.append(job)
        for entry in held:
            heapq.heappush(self._due, entry)
        return gone

"""From a page of jobs to what is to be brought over, kept and watched. Reads GitLab where a page does not tell enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from artifact_sync.core.model import Candidate, Job, KeepDue, Origin, Project, Transfer
from artifact_sync.core.planning import keeps, lacks, plan
from artifact_sync.core.rules import Decision, Rule, explain
from artifact_sync.engine.means import Means
from artifact_sync.errors import Denied, NotFound, Refused
from artifact_sync.ports import Priority, Remote

__all__ = ["Findings", "Judge", "Walk", "all_before", "latest_ids", "pipeline_ids", "pipeline_jobs"]

#: Names a walk remembers before it asks GitLab instead.
_REMEMBERED = 200_000
#: Statuses of a pipeline in which nothing runs (app/models/concerns/ci/has_status.rb). Before a job of it ends, the
#: pipeline's own status changes, and with it its ``updated_at``.
STANDING = frozenset({"success", "failed", "canceled", "skipped", "manual", "scheduled"})
#: Statuses of a job that waits for a person, a time, or one of those before it.
_STILL = frozenset({"manual", "scheduled", "created"})
#: What belongs to a job is there this long after its end: GitLab archives logs and takes in reports minutes later.
_UNSETTLED = timedelta(minutes=10)
#: By how much the clocks of GitLab and of this machine may differ.
_CLOCKS_DIFFER = timedelta(hours=1)
#: A pipeline has not so many pages of jobs; who lists more is none that could be believed.
_MOST_PAGES = 1_000


class Walk:
    """One walk through a project's jobs, newest first: whoever comes later under the same name was retried.

    The project's list has superseded jobs without marking them. A retry is a new job of the same name in the same
    pipeline, so its id is higher and a walk that began at the newest has met it before.
    """

    def __init__(self, *, from_top: bool) -> None:
        self._complete = from_top
        #: The newest job of each name. Its id, because a page that failed half-way is walked again.
        self._met: dict[tuple[int, str], int] = {}

    def retried(self, job: Job) -> bool | None:
        """Whether the job was superseded; None when this walk cannot know."""
        if job.pipeline is None:
            return False
        newest = self._met.get((job.pipeline.id, job.name))
        if newest is not None and newest > job.id:
            return True
        return False if self._complete else None

    def meet(self, job: Job) -> None:
        """Remember a job that a rule may want, for those behind it."""
        if len(self._met) >= _REMEMBERED:
            self._met.clear()
            self._complete = False
        if job.pipeline is not None:
            key = (job.pipeline.id, job.name)
            self._met[key] = max(job.id, self._met.get(key, 0))


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a page of jobs brought."""

    jobs: int = 0
    selected: int = 0
    transfers: list[Transfer] = field(default_factory=list)
    keeps: list[KeepDue] = field(default_factory=list)
    #: Running pipelines with jobs that may still come to be selected, and those of which something is yet to appear.
    pending: set[int] = field(default_factory=set)
    #: Pipelines in which such jobs wait for a person, or a time.
    dormant: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges candidates by the rules."""

    remote: Remote
    rules: Sequence[Rule]
    poll_interval: timedelta
    settle: timedelta

    @classmethod
    def of(cls, means: Means) -> Self:
        """As the policy says."""
        policy = means.policy
        return cls(remote=means.remote, rules=means.rules, poll_interval=policy.interval, settle=policy.settle)

    async def page(
        self,
        project: Project,
        jobs: Iterable[Job],
        walk: Walk,
        *,
        now: datetime,
        horizon: datetime | None,
        backfill: bool,
        priority: Priority,
        via: Project | None = None,
    ) -> Findings:
        """Jobs of the project's list, newest first. Those that ended before ``horizon`` are left alone.

        ``via`` is the project whose pipeline triggered theirs, if another one did. Raises what Remote.pipeline_jobs raises.
        """
        findings = Findings()
        unknown: list[Candidate] = []
        origin = Origin.DIRECT if via is None else Origin.DOWNSTREAM
        for job in jobs:
            findings.jobs += 1
            candidate = Candidate(project=project, job=job, retried=walk.retried(job), origin=origin, via=via)
            decisions = explain(candidate, self.rules, now)
            if not any(decision.hopeful for decision in decisions):
                continue
            walk.meet(job)
            if not self._ended(job, now):
                self._hope(findings, job)
            elif horizon is None or (job.ended_at or job.created_at or now) >= horizon:
                if any(decision.undecided for decision in decisions):
                    unknown.append(candidate)
                else:
                    self._take(findings, candidate, decisions, now=now, backfill=backfill)
        for candidate in await self._told_apart(project, unknown, priority):
            self._take(findings, candidate, explain(candidate, self.rules, now), now=now, backfill=backfill)
        return findings

    def _hope(self, findings: Findings, job: Job) -> None:
        """Look at its pipeline again, unless that stands still: when it moves, its ``updated_at`` tells."""
        if job.pipeline is None:
            return
        # Both: the job and its pipeline may have been read a moment apart.
        still = job.status in _STILL and job.pipeline.status in STANDING
        (findings.dormant if still else findings.pending).add(job.pipeline.id)

    def _ended(self, job: Job, now: datetime) -> bool:
        """Finished, and for as long as is asked for."""
        if not job.finished:
            return False
        if not self.settle or job.ended_at is None:
            return True
        since = now - job.ended_at
        # An end that is further ahead than clocks differ is none to wait for.
        return since >= self.settle or since < -_CLOCKS_DIFFER

    def _take(
        self,
        findings: Findings,
        candidate: Candidate,
        decisions: Sequence[Decision],
        *,
        now: datetime,
        backfill: bool,
    ) -> None:
        job = candidate.job
        recent = job.ended_at is not None and now - job.ended_at < _UNSETTLED
        if recent and job.pipeline is not None and lacks(candidate, decisions):
            findings.pending.add(job.pipeline.id)
        transfers = plan(candidate, decisions, backfill=backfill)
        if transfers:
            findings.selected += 1
            findings.transfers += transfers
            findings.keeps += keeps(candidate, decisions, now=now, poll_interval=self.poll_interval)

    async def _told_apart(
        self, project: Project, unknown: Sequence[Candidate], priority: Priority
    ) -> tuple[Candidate, ...]:
        """The same candidates, with ``retried`` known: one listing for each pipeline among them."""
        latest: dict[int, set[int]] = {}
        for pipeline_id in dict.fromkeys(c.job.pipeline.id for c in unknown if c.job.pipeline):
            latest[pipeline_id] = await latest_ids(self.remote, project.id, pipeline_id, priority)
        return tuple(replace(c, retried=c.job.id not in latest[c.job.pipeline.id]) for c in unknown if c.job.pipeline)


async def pipeline_jobs(
    remote: Remote, project_id: int, pipeline_id: int, *, priority: Priority, retried: bool = False
) -> AsyncIterator[Job]:
    """The jobs of a pipeline. Raises Refused for a list without an end, and what Remote raises."""
    count = 0
    async for page in remote.pipeline_jobs(project_id, pipeline_id, include_retried=retried, priority=priority):
        count += 1
        if count > _MOST_PAGES:
            raise Refused(
                f"GET /api/v4/projects/{project_id}/pipelines/{pipeline_id}/jobs",
                f"more than {_MOST_PAGES} pages of jobs",
                hint="Something between here and GitLab answers with other pages than were asked for.",
            )
        for job in page.items:
            yield job


async def latest_ids(remote: Remote, project_id: int, pipeline_id: int, priority: Priority) -> set[int]:
    """Ids of a pipeline's jobs that no retry superseded; empty for a pipeline that is gone.

    Raises Denied for an empty list: that is how GitLab answers who may not read them (app/finders/ci/jobs_finder.rb).
    """
    ids: set[int] = set()
    try:
        async for job in pipeline_jobs(remote, project_id, pipeline_id, priority=priority):
            ids.add(job.id)
    except NotFound:
        return set()
    if not ids:
        raise Denied(
            f"GET /api/v4/projects/{project_id}/pipelines/{pipeline_id}/jobs",
            "an empty list of a pipeline that has jobs",
            hint="Give the token's user a role that may read the pipeline's jobs.",
        )
    return ids


def pipeline_ids(jobs: Iterable[Job]) -> set[int]:
    """Pipelines that the jobs belong to."""
    return {job.pipeline.id for job in jobs if job.pipeline is not None}


def all_before(jobs: Sequence[Job], horizon: datetime | None) -> bool:
    """Whether history ends here: ids grow with creation, so all that follow were created earlier still.

    A page of which nothing could be understood tells nothing.
    """
    if not jobs:
        return False
    return horizon is not None and all(job.created_at is not None and job.created_at < horizon for job in jobs)

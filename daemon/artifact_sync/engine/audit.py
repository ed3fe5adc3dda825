"""Prove that nothing was missed: list a project completely, compare with the state, and want what is not in it.

Discovery looks at each job once and then only at what moves, so that a mistake of its own, or of GitLab's, would be there
for good. An audit trusts none of its marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from artifact_sync.core.events import Audited
from artifact_sync.core.model import Job, Pipeline, Project
from artifact_sync.engine.judging import Findings, Judge, Walk, all_before, pipeline_jobs
from artifact_sync.engine.looks import follows, selected_event
from artifact_sync.engine.means import Means
from artifact_sync.engine.movement import CHILDREN, has_moved
from artifact_sync.errors import Denied, NotFound, Refused
from artifact_sync.ports import Priority, Progress
from artifact_sync.ports.tracing import noted, span

__all__ = ["audit"]

#: Pipelines in other projects that one pipeline leads to; GitLab makes no more than 1,000 (app/models/ci/pipeline.rb).
_MOST_TRIGGERED = 1_000


async def audit(project: Project, means: Means) -> Audited:
    """Look at every job of the project down to the horizon, at Priority.AUDIT; what is new to the state is wanted now.

    Where a rule says so, at the jobs of pipelines in other projects that its pipelines triggered, too. Works beside
    discovery: what that had not come to when the audit began is no mistake of it, and counted apart. Memory does not grow
    with the number of jobs. Raises what Remote and State raise, and Refused, in the end, where some entries could not be
    understood; what was wanted by then stays wanted.
    """
    with span("audit", project=project.path_with_namespace):
        return await _Audit(project, means).run()


class _Audit:
    def __init__(self, project: Project, means: Means) -> None:
        self._project = project
        self._means = means
        self._judge = Judge.of(means)
        backfill = means.policy.backfill
        self._horizon = None if backfill is None else means.clock.now() - backfill
        self._jobs = self._selected = self._missing = self._ahead = self._strange = 0

    async def run(self) -> Audited:
        """Once."""
        project, means = self._project, self._means
        looked = await _Looked.of(project, means, self._horizon)
        walk = Walk(from_top=True)
        async for page in means.remote.project_jobs(project.id, priority=Priority.AUDIT):
            self._strange += page.undecodable
            await self._want(await self._judged(project, page.items, walk), looked)
            if all_before(page.items, self._horizon):
                break
        if follows(project, means.rules):
            for source in (None, CHILDREN):
                pages = means.remote.pipelines(
                    project.id, updated_after=self._horizon, source=source, priority=Priority.AUDIT
                )
                async for pipelines in pages:
                    for pipeline in pipelines.items:
                        await self._triggered_by(pipeline, looked)
        audited = Audited(
            project_id=project.id,
            path=project.path_with_namespace,
            jobs=self._jobs,
            selected=self._selected,
            missing=self._missing,
            ahead=self._ahead,
        )
        await means.state.count({"audit.projects": 1, "audit.jobs": self._jobs, "audit.missing": self._missing})
        means.emit(audited)
        noted(jobs=self._jobs, selected=self._selected, missing=self._missing)
        if self._strange:
            raise Refused(
                f"GET /api/v4/projects/{project.id}/jobs",
                f"{self._strange} entries not understood, so that it is not known whether they are missing",
                hint="Please report this with the version of GitLab that `artifact-sync check` shows.",
            )
        return audited

    async def _triggered_by(self, pipeline: Pipeline, looked: _Looked) -> None:
        """Jobs of the pipelines in other projects that it led to, directly or through others."""
        project, remote = self._project, self._means.remote
        met = {pipeline.id}
        ahead = [(project, pipeline.id)]
        while ahead:
            runs_in, number = ahead.pop()
            if runs_in is not project:
                jobs = [job async for job in pipeline_jobs(remote, runs_in.id, number, priority=Priority.AUDIT)]
                newest_first = sorted(jobs, key=lambda job: job.id, reverse=True)
                found = await self._judged(runs_in, newest_first, Walk(from_top=True), via=project)
                await self._want(found, looked, via=number)
            async for page in remote.trigger_jobs(runs_in.id, number, priority=Priority.AUDIT):
                for trigger in page.items:
                    started = trigger.downstream_pipeline
                    if started is None or started.project_id in {None, project.id} or started.id in met:
                        continue
                    if len(met) <= _MOST_TRIGGERED and (other := await self._visible(started)) is not None:
                        met.add(started.id)
                        ahead.append((other, started.id))

    async def _visible(self, started: Pipeline) -> Project | None:
        try:
            return await self._means.remote.project(started.project_id or 0)
        except (NotFound, Denied):
            # As for discovery: what this token may not see is nothing that it could miss.
            return None

    async def _judged(
        self, project: Project, jobs: Sequence[Job], walk: Walk, *, via: Project | None = None
    ) -> Findings:
        return await self._judge.page(
            project,
            jobs,
            walk,
            now=self._means.clock.now(),
            horizon=self._horizon,
            backfill=True,
            priority=Priority.AUDIT,
            via=via,
        )

    async def _want(self, found: Findings, looked: _Looked, *, via: int | None = None) -> None:
        """Into the queue with what is not there yet; ``via``: the pipeline, if another project's."""
        self._jobs += found.jobs
        self._selected += found.selected
        if not (found.transfers or found.keeps):
            return
        new = await self._means.state.want(found.transfers, keeps=found.keeps, now=self._means.clock.now())
        for queued in new:
            self._means.emit(selected_event(queued, late=False))
        jobs = {queued.transfer.job.id: queued.transfer.job for queued in new}
        overlooked = sum(looked.at(job) if via is None else looked.at_triggered(via) for job in jobs.values())
        self._missing += overlooked
        self._ahead += len(jobs) - overlooked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """How far discovery had come when the audit began."""

    progress: Progress | None
    #: Whether its history had been walked to the end, by these rules and as far back as the audit goes.
    history: bool = False
    #: Pipelines that it was going to look at again.
    watched: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    async def of(cls, project: Project, means: Means, horizon: datetime | None) -> _Looked:
        progress = await means.state.progress(project.id)
        if progress is None:
            return cls(progress=None)
        reaches = progress.horizon is None or (horizon is not None and horizon >= progress.horizon)
        return cls(
            progress=progress,
            history=progress.backfill_done and progress.rules == means.policy.rules and reaches,
            watched=await means.state.watched(project.id),
        )

    def at(self, job: Job) -> bool:
        """Whether discovery had passed the job as it is now, and had no reason to come back to it."""
        progress = self.progress
        if progress is None or not self.history or job.id > progress.newest_job_id:
            return False
        pipeline = job.pipeline
        if pipeline is None:
            return True
        if pipeline.source == CHILDREN:
            moved = has_moved(pipeline, progress.children_moved_to, progress.children_looked_at)
        else:
            moved = has_moved(pipeline, progress.moved_to, progress.looked_at)
        return not moved and pipeline.id not in self.watched

    def at_triggered(self, pipeline_id: int) -> bool:
        """Whether discovery was done with a pipeline in another project."""
        return self.history and pipeline_id not in self.watched

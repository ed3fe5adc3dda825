"""Prove that nothing was missed: list a project completely, compare with the state, and want what is not in it.

Discovery looks at each job once and then only at what moves, so that a mistake of its own, or of GitLab's, would be there
for good. An audit trusts none of its marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from artifact_sync.core.events import Audited, Emit
from artifact_sync.core.model import Job, Project
from artifact_sync.core.rules import Rule
from artifact_sync.engine.judging import Judge, Walk, all_before
from artifact_sync.engine.looks import selected_event
from artifact_sync.engine.movement import CHILDREN, has_moved
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.errors import Refused
from artifact_sync.ports import Clock, Priority, Progress, Remote, State

__all__ = ["audit"]

_EVER = datetime.max.replace(tzinfo=UTC)


async def audit(
    project: Project,
    *,
    remote: Remote,
    state: State,
    clock: Clock,
    rules: Sequence[Rule],
    policy: EnginePolicy,
    emit: Emit,
) -> Audited:
    """Look at every job of the project down to the horizon, at Priority.AUDIT; what is new to the state is wanted now.

    Works beside discovery: what that had not come to when the audit began is no mistake of it, and counted apart. Memory
    does not grow with the number of jobs. Raises what Remote and State raise, and Refused, in the end, where some entries
    could not be understood; what was wanted by then stays wanted.
    """
    began = clock.now()
    horizon = None if policy.backfill is None else began - policy.backfill
    looked = await _Looked.of(project, state, policy, horizon)
    judge = Judge(remote=remote, rules=rules, poll_interval=policy.interval, settle=policy.settle)
    walk = Walk(from_top=True)
    jobs = selected = missing = ahead = strange = 0
    async for page in remote.project_jobs(project.id, priority=Priority.AUDIT):
        now = clock.now()
        found = await judge.page(
            project, page.items, walk, now=now, horizon=horizon, backfill=True, priority=Priority.AUDIT
        )
        jobs += found.jobs
        strange += page.undecodable
        selected += found.selected
        if found.transfers or found.keeps:
            new = await state.want(found.transfers, keeps=found.keeps, now=now)
            for queued in new:
                emit(selected_event(queued, late=False))
            overlooked = {queued.transfer.job.id: looked.at(queued.transfer.job) for queued in new}
            missing += sum(overlooked.values())
            ahead += len(overlooked) - sum(overlooked.values())
        if all_before(page.items, horizon):
            break
    audited = Audited(
        project_id=project.id,
        path=project.path_with_namespace,
        jobs=jobs,
        selected=selected,
        missing=missing,
        ahead=ahead,
    )
    emit(audited)
    if strange:
        raise Refused(
            f"GET /api/v4/projects/{project.id}/jobs",
            f"{strange} entries not understood, so that it is not known whether they are missing",
            hint="Please report this with the version of GitLab that `artifact-sync check` shows.",
        )
    return audited


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """How far discovery had come when the audit began."""

    progress: Progress | None
    #: Whether its history had been walked to the end, by these rules and as far back as the audit goes.
    history: bool = False
    #: Pipelines that it was going to look at again.
    watched: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    async def of(cls, project: Project, state: State, policy: EnginePolicy, horizon: datetime | None) -> _Looked:
        progress = await state.progress(project.id)
        if progress is None:
            return cls(progress=None)
        reaches = progress.horizon is None or (horizon is not None and horizon >= progress.horizon)
        watched = await state.due_pipelines(project.id, _EVER)
        return cls(
            progress=progress,
            history=progress.backfill_done and progress.rules == policy.rules and reaches,
            watched=frozenset(pipeline.pipeline_id for pipeline in watched),
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

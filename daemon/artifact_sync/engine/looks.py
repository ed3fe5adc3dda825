"""Look at jobs and at single pipelines, judge them, and record what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from artifact_sync.core.events import Discovered, Selected, names_of
from artifact_sync.core.model import Job, Pipeline, Project
from artifact_sync.core.rules import Rule
from artifact_sync.engine.judging import Findings, Judge, Walk, pipeline_jobs
from artifact_sync.engine.means import Means
from artifact_sync.errors import NotFound
from artifact_sync.ports import Page, Priority, Progress, QueuedTransfer, WatchedPipeline

__all__ = ["Looks", "follows", "selected_event"]

#: The time for a look at what a look led to: in the same poll.
_AT_ONCE = datetime.fromtimestamp(0, UTC)
#: Doublings after which a look's interval is beyond any limit.
_MANY_LOOKS = 20
#: Clocks differ by this at most, as far as the first moment of a project is concerned.
_DIFFERENCE = timedelta(seconds=5)
#: Longest wait for a pipeline of another project that stands still: no listing of this project tells when it moves.
_LONGEST_ELSEWHERE = timedelta(hours=6)
#: For so long after their end, jobs of such a pipeline are looked at for a retry.
_RETRIED_WITHIN = timedelta(days=7)


class Looks:
    """Judges what GitLab shows of a project, and writes it down with how far that is."""

    def __init__(self, means: Means) -> None:
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._rules = means.rules
        self._policy = means.policy
        self._emit = means.emit
        self._wants_retried = any(rule.when.retried for rule in means.rules)
        self._judge = Judge.of(means)
        self._undecodable: dict[int, int] = {}

    def counted(self, project: Project, page: Page[Job]) -> Page[Job]:
        """The page; what could not be understood of it is counted."""
        if page.undecodable:
            self._undecodable[project.id] = self._undecodable.get(project.id, 0) + page.undecodable
        return page

    def take_undecodable(self, project_id: int) -> int:
        """How many entries of the project's lists could not be understood since this was asked last."""
        return self._undecodable.pop(project_id, 0)

    async def watch(self, project: Project, pipelines: Iterable[Pipeline]) -> None:
        """Have these looked at now, of which nothing but their being there is known. Raises StateError, NoSpace."""
        now = self._clock.now()
        if watch := [
            WatchedPipeline(project_id=project.id, pipeline_id=pipeline.id, look_at=now, seen=_NO_JOBS)
            for pipeline in pipelines
        ]:
            await self._state.watch(watch)

    async def at(self, project: Project, watched: WatchedPipeline) -> None:
        """Judge its jobs, follow what it triggered, and look again while something may still come.

        Raises what Remote and State raise.
        """
        progress = await self._state.progress(project.id)
        if progress is None:
            return
        place = watched.runs_in or project.id
        try:
            runs_in = project if place == project.id else await self._remote.project(place)
            jobs = await self._jobs_of(runs_in, watched.pipeline_id)
        except NotFound:
            # Deleted with its pipeline, unless the project is out of sight too. What was published stays.
            await self._remote.project(place)
            await self.save(project, progress, Findings(), unwatch=[watched.pipeline_id])
            return
        await self._judged(project, runs_in, watched, progress, jobs, late=True)

    async def hinted(self, project: Project, pipeline_id: int) -> Sequence[Job]:
        """Look at a pipeline before its time; its jobs, and none where there is nothing to see.

        Nothing that is known of the pipeline is forgotten by that: the hint may be wrong. Raises what Remote and State raise.
        """
        progress = await self._state.progress(project.id)
        if progress is None:
            return ()
        try:
            jobs = await self._jobs_of(project, pipeline_id)
        except NotFound:
            return ()
        if jobs:
            watched = WatchedPipeline(
                project_id=project.id, pipeline_id=pipeline_id, look_at=self._clock.now(), seen=_NO_JOBS
            )
            await self._judged(project, project, watched, progress, jobs, late=False)
        return jobs

    async def _judged(
        self,
        project: Project,
        runs_in: Project,
        watched: WatchedPipeline,
        progress: Progress,
        jobs: Sequence[Job],
        *,
        late: bool,
    ) -> None:
        horizon = None if progress.horizon is None else progress.horizon - _DIFFERENCE
        via = None if runs_in is project else project
        findings = await self.judge(runs_in, jobs, Walk(from_top=True), horizon, backfill=False, via=via)
        triggered, triggering = await self._triggered(project, runs_in, watched.pipeline_id)
        # An empty list is also GitLab's answer to who may not read the jobs (app/finders/ci/jobs_finder.rb).
        waits = triggering or not jobs or watched.pipeline_id in findings.pending
        if via is not None and (findings.dormant or _ended_since(jobs, self._clock.now() - _RETRIED_WITHIN)):
            waits = True
        findings.pending, findings.dormant = set(), set()
        # Where other tools report statuses, a pipeline has no jobs at all (app/models/generic_commit_status.rb).
        if not waits or not (jobs or triggering or watched.seen != _NO_JOBS):
            await self.save(project, progress, findings, watch=triggered, unwatch=[watched.pipeline_id], late=late)
            return
        seen = _fingerprint(jobs) if jobs else watched.seen
        looks = watched.looks + 1 if seen == watched.seen else 0
        again = self._again(watched, looks=looks, seen=seen)
        await self.save(project, progress, findings, watch=[*triggered, again], late=late)

    async def _triggered(
        self, project: Project, runs_in: Project, pipeline_id: int
    ) -> tuple[list[WatchedPipeline], bool]:
        """Pipelines in other projects that this one triggered, and whether it may trigger more."""
        if not follows(project, self._rules):
            return [], False
        watch: list[WatchedPipeline] = []
        more = False
        async for page in self._remote.trigger_jobs(runs_in.id, pipeline_id):
            for trigger in page.items:
                started = trigger.downstream_pipeline
                if started is None:
                    more = more or trigger.status in {"pending", "running"}
                # A child of the project's own is found by the project's own lists.
                elif started.project_id not in {None, project.id}:
                    watch.append(
                        WatchedPipeline(
                            project_id=project.id,
                            pipeline_id=started.id,
                            look_at=_AT_ONCE,
                            runs_in=started.project_id,
                        )
                    )
        return watch, more

    async def _jobs_of(self, project: Project, pipeline_id: int) -> list[Job]:
        """Newest first; superseded ones only where a rule wants them. None twice, though pages by number may shift."""
        jobs: dict[int, Job] = {}
        async for job in pipeline_jobs(
            self._remote, project.id, pipeline_id, priority=Priority.POLL, retried=self._wants_retried
        ):
            jobs[job.id] = job
        return sorted(jobs.values(), key=lambda job: job.id, reverse=True)

    async def put_off(self, watched: WatchedPipeline) -> None:
        """It could not be looked at: later."""
        await self._state.watch([self._again(watched, looks=watched.looks + 1, seen=watched.seen)])

    def _again(self, watched: WatchedPipeline, *, looks: int, seen: str) -> WatchedPipeline:
        longest = _LONGEST_ELSEWHERE if watched.runs_in else self._policy.longest_look
        wait = min(self._policy.interval * (1 << min(looks, _MANY_LOOKS)), longest)
        return replace(watched, look_at=self._clock.now() + wait, looks=looks, seen=seen)

    async def judge(
        self,
        project: Project,
        jobs: Sequence[Job],
        walk: Walk,
        horizon: datetime | None,
        *,
        backfill: bool,
        via: Project | None = None,
    ) -> Findings:
        """As ``Judge.page``, now. Raises what that raises."""
        return await self._judge.page(
            project,
            jobs,
            walk,
            now=self._clock.now(),
            horizon=horizon,
            backfill=backfill,
            priority=Priority.BACKFILL if backfill else Priority.POLL,
            via=via,
        )

    async def save(
        self,
        project: Project,
        progress: Progress,
        findings: Findings,
        *,
        watch: Sequence[WatchedPipeline] = (),
        unwatch: Sequence[int] = (),
        late: bool = False,
    ) -> None:
        """Write down what was found, with ``progress``, and tell. ``late``: the poll for what is new had passed by it.

        Raises StateError, NoSpace.
        """
        now = self._clock.now()
        look_at = now + self._policy.interval
        pending = [
            WatchedPipeline(project_id=project.id, pipeline_id=pipeline_id, look_at=look_at)
            for pipeline_id in sorted(findings.pending)
        ]
        new = await self._state.save_progress(
            replace(progress, path=project.path_with_namespace, polled_at=now),
            found=findings.transfers,
            keeps=findings.keeps,
            watch=[*pending, *watch],
            unwatch=unwatch,
            now=now,
        )
        for queued in new:
            self._emit(selected_event(queued, late=late))
        if findings.jobs:
            self._emit(
                Discovered(
                    project_id=project.id,
                    path=project.path_with_namespace,
                    jobs=findings.jobs,
                    selected=findings.selected,
                )
            )


def _ended_since(jobs: Sequence[Job], moment: datetime) -> bool:
    return any(job.ended_at is not None and job.ended_at > moment for job in jobs)


def follows(project: Project, rules: Sequence[Rule]) -> bool:
    """Whether some rule wants what the project's pipelines trigger in other projects."""
    return any(rule.when.downstream and rule.projects.matches(project) for rule in rules)


def _fingerprint(jobs: Sequence[Job]) -> str:
    text = " ".join(f"{job.id}:{job.status}" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


#: What a pipeline without jobs looks like.
_NO_JOBS = _fingerprint(())


def selected_event(queued: QueuedTransfer, *, late: bool) -> Selected:
    """The event of a transfer that is new."""
    transfer = queued.transfer
    sizes = [item.size for item in transfer.items if item.size is not None]
    return Selected(
        **names_of(transfer),
        rules=transfer.rules,
        size=sum(sizes) if sizes else None,
        deadline=transfer.deadline,
        late=late,
    )

"""Find every job that some rule selects, whenever it comes to finish.

Job ids are given when a pipeline is created, so a high-water mark alone misses what finishes late. Three ways together
find everything: new ids, newest first; history below them, page by page; and pipelines with unfinished jobs, looked at
until nothing in them can come to be selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from artifact_sync.core.events import Discovered, Emit, Selected
from artifact_sync.core.model import Job, Project
from artifact_sync.core.rules import Rule
from artifact_sync.engine.judging import Findings, Judge, Walk, all_before
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.errors import CredentialRefused, NotFound, Refused, RemoteError, Throttled
from artifact_sync.ports import Clock, Page, Priority, Progress, QueuedTransfer, Remote, State, WatchedPipeline

__all__ = ["Discovery"]

#: Doublings after which a look's interval is beyond any limit.
_MANY_LOOKS = 20
#: Pipelines that may fail before the rest of them is left to the next poll.
_MANY_FAILURES = 3
_EVER = datetime.max.replace(tzinfo=UTC)


class Discovery:
    """Follows projects. One call at a time for each project."""

    def __init__(
        self,
        *,
        remote: Remote,
        state: State,
        clock: Clock,
        rules: Sequence[Rule],
        policy: EnginePolicy,
        emit: Emit,
    ) -> None:
        self._remote = remote
        self._state = state
        self._clock = clock
        self._policy = policy
        self._emit = emit
        self._wants_retried = any(rule.when.retried for rule in rules)
        self._judge = Judge(remote=remote, rules=rules, poll_interval=policy.interval, settle=policy.settle)
        #: Walks whose history is still under way, so that it need not ask what was retried.
        self._walks: dict[int, Walk] = {}

    async def poll(self, project: Project, *, thorough: bool = False) -> None:
        """Look at everything new, and at the pipelines whose time has come; at every watched one if ``thorough``.

        Raises what Remote and State raise; what was saved by then stays, and the next poll goes on.
        """
        watched = await self._state.due_pipelines(project.id, _EVER if thorough else self._clock.now())
        await self._fresh(project)
        await self._watched(project, watched)

    async def backfill(self, project: Project) -> bool:
        """Look at one page of history; whether there is more. Raises as ``poll``."""
        progress = await self._history_of(project)
        if progress is None or progress.backfill_done:
            return False
        walk = self._walks.setdefault(project.id, Walk(from_top=progress.backfill_next is None))
        page = await self._history_page(project, progress)
        if page is None:
            self._walks.pop(project.id, None)
            await self._save(project, replace(progress, backfill_next=None), Findings())
            return True
        findings = await self._look(project, page.items, walk, progress.horizon, backfill=True)
        done = page.next is None or all_before(page.items, progress.horizon)
        if done:
            self._walks.pop(project.id, None)
        await self._save(project, replace(progress, backfill_next=page.next, backfill_done=done), findings)
        return not done

    async def _history_of(self, project: Project) -> Progress | None:
        """Where history stands; back at the top where other rules, or a longer horizon, judge it anew."""
        progress = await self._state.progress(project.id)
        if progress is None:
            return None
        horizon = self._horizon(self._clock.now())
        reaches = progress.horizon is None or (horizon is not None and horizon >= progress.horizon)
        if progress.rules == self._policy.rules and reaches:
            return progress
        self._walks.pop(project.id, None)
        return replace(progress, backfill_next=None, backfill_done=False, horizon=horizon, rules=self._policy.rules)

    def _horizon(self, now: datetime) -> datetime | None:
        return None if self._policy.backfill is None else now - self._policy.backfill

    async def _history_page(self, project: Project, progress: Progress) -> Page[Job] | None:
        """The next page of history; None where the server does not understand the place any more."""
        pages = self._remote.project_jobs(project.id, resume=progress.backfill_next, priority=Priority.BACKFILL)
        try:
            return await anext(pages, Page(items=(), next=None))
        except Refused:
            if progress.backfill_next is None:
                raise
            return None

    async def _fresh(self, project: Project) -> None:
        now = self._clock.now()
        progress = await self._state.progress(project.id)
        known = progress.newest_job_id if progress else 0
        walk = Walk(from_top=True)
        top = known
        async for page in self._remote.project_jobs(project.id):
            new = [job for job in page.items if job.id > known]
            top = max((top, *(job.id for job in new)))
            if progress is None:
                await self._first(project, page, new, walk, top, now)
                return
            # New since the last poll, hence later than any horizon; clocks that differ must not hide one.
            findings = await self._look(project, new, walk, None, backfill=False)
            if page.next is None or len(new) < len(page.items):
                await self._save(project, replace(progress, newest_job_id=top), findings)
                return
            # Only a walk that arrived at what was known before moves the mark: a broken one is walked again.
            await self._save(project, progress, findings)

    async def _first(
        self, project: Project, page: Page[Job], new: Sequence[Job], walk: Walk, top: int, now: datetime
    ) -> None:
        """The first page of a project never seen: today's jobs are fresh, what is below them is history."""
        horizon = self._horizon(now)
        findings = await self._look(project, new, walk, horizon, backfill=False)
        done = page.next is None or all_before(page.items, horizon)
        if not done:
            self._walks[project.id] = walk
        progress = Progress(
            project_id=project.id,
            path=project.path_with_namespace,
            newest_job_id=top,
            backfill_next=page.next,
            backfill_done=done,
            horizon=horizon,
            rules=self._policy.rules,
        )
        await self._save(project, progress, findings)

    async def _look(
        self, project: Project, jobs: Sequence[Job], walk: Walk, horizon: datetime | None, *, backfill: bool
    ) -> Findings:
        return await self._judge.page(
            project,
            jobs,
            walk,
            now=self._clock.now(),
            horizon=horizon,
            backfill=backfill,
            priority=Priority.BACKFILL if backfill else Priority.POLL,
        )

    async def _watched(self, project: Project, due: Sequence[WatchedPipeline]) -> None:
        failures: list[RemoteError] = []
        for watched in due:
            progress = await self._state.progress(project.id)
            if progress is None:
                return
            try:
                await self._look_at_pipeline(project, watched, progress)
            except (CredentialRefused, Throttled):
                raise
            except RemoteError as error:
                # One that cannot be read must not hide the others, so it goes behind them.
                failures.append(error)
                later = self._again(watched, looks=watched.looks + 1, seen=watched.seen)
                await self._save(project, progress, Findings(), watch=[later])
                if len(failures) == _MANY_FAILURES:
                    break
        if failures:
            raise failures[0]

    async def _look_at_pipeline(self, project: Project, watched: WatchedPipeline, progress: Progress) -> None:
        try:
            jobs = await self._jobs_of(project, watched.pipeline_id)
        except NotFound:
            # Deleted with its pipeline, unless the project is out of sight too. What was published stays.
            await self._remote.project(project.id)
            await self._save(project, progress, Findings(), unwatch=[watched.pipeline_id])
            return
        findings = await self._look(project, jobs, Walk(from_top=True), None, backfill=False)
        pending, findings.pending = findings.pending, set()
        if jobs and not pending:
            await self._save(project, progress, findings, unwatch=[watched.pipeline_id], late=True)
            return
        seen = _fingerprint(jobs)
        again = self._again(watched, looks=watched.looks + 1 if seen == watched.seen else 0, seen=seen)
        await self._save(project, progress, findings, watch=[again], late=True)

    async def _jobs_of(self, project: Project, pipeline_id: int) -> list[Job]:
        """Newest first; superseded ones only where a rule wants them. None twice, though pages by number may shift.

        None at all tells nothing: GitLab's answer to who may not read them (app/finders/ci/jobs_finder.rb).
        """
        jobs: dict[int, Job] = {}
        async for page in self._remote.pipeline_jobs(project.id, pipeline_id, include_retried=self._wants_retried):
            jobs |= {job.id: job for job in page.items}
        return sorted(jobs.values(), key=lambda job: job.id, reverse=True)

    def _again(self, watched: WatchedPipeline, *, looks: int, seen: str) -> WatchedPipeline:
        return replace(watched, look_at=self._clock.now() + self._interval(looks), looks=looks, seen=seen)

    def _interval(self, looks: int) -> timedelta:
        return min(self._policy.interval * (1 << min(looks, _MANY_LOOKS)), self._policy.longest_look)

    async def _save(
        self,
        project: Project,
        progress: Progress,
        findings: Findings,
        *,
        watch: Sequence[WatchedPipeline] = (),
        unwatch: Sequence[int] = (),
        late: bool = False,
    ) -> None:
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
            self._emit(_selected(queued, late=late))
        if findings.jobs:
            self._emit(
                Discovered(
                    project_id=project.id,
                    path=project.path_with_namespace,
                    jobs=findings.jobs,
                    selected=findings.selected,
                )
            )


def _fingerprint(jobs: Sequence[Job]) -> str:
    text = " ".join(f"{job.id}:{job.status}" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _selected(queued: QueuedTransfer, *, late: bool) -> Selected:
    transfer = queued.transfer
    sizes = [item.size for item in transfer.items if item.size is not None]
    return Selected(
        project=transfer.project_path,
        job_id=transfer.job.id,
        job=transfer.job.name,
        ref=transfer.job.ref,
        rules=transfer.rules,
        dest=transfer.dest,
        size=sum(sizes) if sizes else None,
        deadline=transfer.deadline,
        late=late,
    )

"""A project's past: its first look, and history below it, page by page down to the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from artifact_sync.core.model import Job, Pipeline, Project
from artifact_sync.engine.judging import STANDING, Findings, Walk, all_before, pipeline_ids
from artifact_sync.engine.looks import Looks, follows
from artifact_sync.engine.means import Means
from artifact_sync.engine.movement import CHILDREN, Movement
from artifact_sync.errors import Refused
from artifact_sync.ports import Page, Priority, Progress
from artifact_sync.ports.tracing import span

__all__ = ["History"]

_NOTHING: Page[Job] = Page(items=(), next=None)
#: Without a backfill, what runs when a project is first seen has moved within this time.
_LATELY = timedelta(days=1)


class History:
    """Walks through what was there before. One call at a time for each project."""

    def __init__(self, means: Means, looks: Looks) -> None:
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._policy = means.policy
        self._rules = means.rules
        self._looks = looks
        #: Walks that are under way, so that they need not ask what was retried.
        self._walks: dict[int, Walk] = {}
        #: Lowest job id that a walk has come to.
        self._lowest: dict[int, int] = {}

    async def first(self, project: Project) -> None:
        """A project never seen: today's jobs are fresh, what is below them is history, and what runs is watched."""
        now = self._clock.now()
        horizon = self._horizon(now)
        # Before the jobs are listed: what moves in between is then seen to have moved.
        moved, children = await self._moving(project, horizon, now)
        page = self._looks.counted(project, await anext(self._remote.project_jobs(project.id), _NOTHING))
        walk = Walk(from_top=True)
        findings = await self._looks.judge(project, page.items, walk, horizon, backfill=False)
        done = page.next is None or all_before(page.items, horizon)
        if not done:
            self._walks[project.id] = walk
        progress = Progress(
            project_id=project.id,
            path=project.path_with_namespace,
            newest_job_id=max((job.id for job in page.items), default=0),
            newest_pipeline_id=max(pipeline_ids(page.items), default=0),
            moved_to=moved.to,
            looked_at=moved.looked_at,
            children_moved_to=children.to,
            children_looked_at=children.looked_at,
            children_at=now,
            children=children.any or _of_children(page.items),
            backfill_next=page.next,
            backfill_done=done,
            horizon=horizon,
            rules=self._policy.rules,
        )
        await self._looks.save(project, progress, findings)

    async def _moving(self, project: Project, horizon: datetime | None, now: datetime) -> tuple[Movement, Movement]:
        """Watch pipelines that history will not come to; what moved lately, also among child pipelines.

        History ends at what was created before the horizon, which may have moved since, or run still. Where trigger jobs
        are followed, all pipelines are looked at: the project's job list does not have trigger jobs.
        """
        every = follows(project, self._rules)
        if horizon is not None:
            after: datetime | None = min(horizon, now - _LATELY)
        else:
            after = None if every else now

        def matters(pipeline: Pipeline) -> bool:
            old = horizon is not None and (pipeline.created_at or now) < horizon
            lively = pipeline.status not in STANDING or (pipeline.updated_at or now) >= (horizon or now)
            return lively if old else every

        both = (
            Movement(self._remote, self._clock, project.id, after=after),
            Movement(self._remote, self._clock, project.id, after=after, source=CHILDREN),
        )
        for movement in both:
            async for page in movement.pages():
                await self._looks.watch(project, (pipeline for pipeline in page if matters(pipeline)))
        return both

    async def page(self, project: Project) -> bool:
        """Look at one page of history; whether there is more. Raises what Remote and State raise."""
        progress = await self._state.progress(project.id)
        if progress is None:
            return False
        progress = await self._judged_anew(project, progress)
        if progress.backfill_done:
            return False
        with span("backfill", project=project.path_with_namespace):
            return await self._next_page(project, progress)

    async def _next_page(self, project: Project, progress: Progress) -> bool:
        walk = self._walks.setdefault(project.id, Walk(from_top=progress.backfill_next is None))
        page = await self._history_page(project, progress)
        if page is None:
            self._forget_walk(project)
            await self._looks.save(project, replace(progress, backfill_next=None), Findings())
            return True
        findings = await self._looks.judge(project, page.items, walk, progress.horizon, backfill=True)
        done = page.next is None or all_before(page.items, progress.horizon)
        progress = replace(
            progress,
            backfill_next=page.next,
            backfill_done=done,
            children=progress.children or _of_children(page.items),
        )
        await self._looks.save(project, progress, findings)
        if done:
            self._forget_walk(project)
        elif page.items:
            self._lowest[project.id] = min(job.id for job in page.items)
        return not done

    async def _judged_anew(self, project: Project, progress: Progress) -> Progress:
        """Where history stands; back at the top where other rules, or a longer horizon, judge it anew."""
        horizon = self._horizon(self._clock.now())
        reaches = progress.horizon is None or (horizon is not None and horizon >= progress.horizon)
        if progress.rules == self._policy.rules and reaches:
            return progress
        self._forget_walk(project)
        await self._moving(project, horizon, self._clock.now())
        anew = replace(progress, backfill_next=None, backfill_done=False, horizon=horizon, rules=self._policy.rules)
        await self._looks.save(project, anew, Findings())
        return anew

    def _horizon(self, now: datetime) -> datetime | None:
        return None if self._policy.backfill is None else now - self._policy.backfill

    async def _history_page(self, project: Project, progress: Progress) -> Page[Job] | None:
        """The next page of history; None where the server does not understand the place any more."""
        pages = self._remote.project_jobs(project.id, resume=progress.backfill_next, priority=Priority.BACKFILL)
        try:
            page = self._looks.counted(project, await anext(pages, _NOTHING))
        except Refused:
            if progress.backfill_next is None:
                raise
            return None
        lowest = min((job.id for job in page.items), default=0 if page.undecodable else None)
        before = self._lowest.get(project.id)
        # By keyset every page goes on below the one before. By number, new jobs push known ones onto the next page.
        stuck = "cursor=" in (page.next or "") and (lowest is None or (before is not None and lowest >= before))
        if stuck or (page.next is not None and page.next == progress.backfill_next):
            raise Refused(
                f"GET /api/v4/projects/{project.id}/jobs",
                "a page of history with nothing older on it than the page before",
                hint="Something between here and GitLab serves old or wrong pages; the next poll tries again.",
            )
        return page

    def _forget_walk(self, project: Project) -> None:
        self._walks.pop(project.id, None)
        self._lowest.pop(project.id, None)


def _of_children(jobs: Sequence[Job]) -> bool:
    """Whether a job among them ran in a child pipeline."""
    return any(job.pipeline is not None and job.pipeline.source == CHILDREN for job in jobs)

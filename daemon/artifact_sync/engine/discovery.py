"""Find every job that some rule selects, whenever it comes to finish.

Job ids are given when a pipeline is created, so a high-water mark alone misses what finishes late. Together these find
everything: new ids, newest first; history below them, page by page; running pipelines with jobs that may still be
selected, looked at until there are none; and pipelines that moved after they stood still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from artifact_sync.core.events import Emit
from artifact_sync.core.model import Job, Pipeline, Project
from artifact_sync.core.rules import Rule
from artifact_sync.engine.judging import STANDING, Findings, Walk, all_before
from artifact_sync.engine.looks import Looks
from artifact_sync.engine.movement import CHILDREN, Moved, moved_since
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, RemoteError, Throttled
from artifact_sync.ports import Clock, Page, Priority, Progress, Remote, State, WatchedPipeline

__all__ = ["Discovery"]

#: Pipelines that may fail before the rest of them is left to the next poll.
_MANY_FAILURES = 3
_NOTHING: Page[Job] = Page(items=(), next=None)
_EVER = datetime.max.replace(tzinfo=UTC)
#: Without a backfill, what runs when a project is first seen has moved within this time.
_LATELY = timedelta(days=1)


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
        self._looks = Looks(remote=remote, state=state, clock=clock, rules=rules, policy=policy, emit=emit)
        #: Walks whose history is still under way, so that it need not ask what was retried.
        self._walks: dict[int, Walk] = {}
        #: Lowest job id that a walk through history has come to.
        self._lowest: dict[int, int] = {}
        self._undecodable: dict[int, int] = {}
        #: Projects of which the last poll asked for child pipelines alone.
        self._asked_for_children: set[int] = set()

    async def poll(self, project: Project, *, thorough: bool = False) -> bool:
        """Look at what moved and at the pipelines whose time has come, all of them if ``thorough``; whether anything did.

        A project in which nothing moved costs one request. Raises what Remote and State raise; what was saved by then
        stays, and the next poll goes on.
        """
        progress = await self._state.progress(project.id)
        if progress is None:
            await self._first(project)
            return True
        due = await self._state.due_pipelines(project.id, _EVER if thorough else self._clock.now())
        moved = await self._moved(project, progress, thorough=thorough)
        await self._watched(project, [watched for watched in due if watched.pipeline_id not in moved])
        return bool(moved or due)

    async def backfill(self, project: Project) -> bool:
        """Look at one page of history; whether there is more. Raises as ``poll``."""
        progress = await self._state.progress(project.id)
        if progress is None:
            return False
        progress = await self._judged_anew(project, progress)
        if progress.backfill_done:
            return False
        walk = self._walks.setdefault(project.id, Walk(from_top=progress.backfill_next is None))
        page = await self._history_page(project, progress)
        if page is None:
            self._forget_walk(project)
            await self._looks.save(project, replace(progress, backfill_next=None), Findings())
            return True
        findings = await self._looks.judge(project, page.items, walk, progress.horizon, backfill=True)
        done = page.next is None or all_before(page.items, progress.horizon)
        await self._looks.save(project, replace(progress, backfill_next=page.next, backfill_done=done), findings)
        if done:
            self._forget_walk(project)
        elif page.items:
            self._lowest[project.id] = min(job.id for job in page.items)
        return not done

    def take_undecodable(self, project_id: int) -> int:
        """How many entries of the project's lists could not be understood since this was asked last."""
        return self._undecodable.pop(project_id, 0)

    # --- the first time ---

    async def _first(self, project: Project) -> None:
        """A project never seen: today's jobs are fresh, what is below them is history, and what runs is watched."""
        now = self._clock.now()
        horizon = self._horizon(now)
        # Before the jobs are listed: what moves in between is then seen to have moved.
        watch, moving = await self._moving(project, horizon, now)
        page = self._counted(project, await anext(self._remote.project_jobs(project.id), _NOTHING))
        walk = Walk(from_top=True)
        findings = await self._looks.judge(project, page.items, walk, horizon, backfill=False)
        done = page.next is None or all_before(page.items, horizon)
        if not done:
            self._walks[project.id] = walk
        progress = Progress(
            project_id=project.id,
            path=project.path_with_namespace,
            newest_job_id=max((job.id for job in page.items), default=0),
            newest_pipeline_id=max(_pipeline_ids(page.items), default=0),
            moved_to=moving[0].to,
            looked_at=moving[0].looked_at,
            children_moved_to=moving[1].to,
            children_looked_at=moving[1].looked_at,
            children_at=now,
            backfill_next=page.next,
            backfill_done=done,
            horizon=horizon,
            rules=self._policy.rules,
        )
        await self._looks.save(project, progress, findings, watch=watch)

    async def _moving(
        self, project: Project, horizon: datetime | None, now: datetime
    ) -> tuple[list[WatchedPipeline], tuple[Moved, Moved]]:
        """Pipelines that history will not come to, and what moved lately, also among child pipelines.

        History ends at what was created before the horizon, which may have moved since, or run still. Where trigger jobs
        are followed, all pipelines are looked at: the project's job list does not have trigger jobs.
        """
        follows = self._looks.follows(project)
        after = now if horizon is None else min(horizon, now - _LATELY)
        watch: list[WatchedPipeline] = []
        both: list[Moved] = []
        for source in (None, CHILDREN):
            moved = await moved_since(
                self._remote, project.id, None if follows and horizon is None else after, source=source
            )
            for pipeline in moved.pipelines:
                old = horizon is not None and (pipeline.created_at or now) < horizon
                lively = pipeline.status not in STANDING or (pipeline.updated_at or now) >= (horizon or now)
                if lively if old else follows:
                    watch.append(WatchedPipeline(project_id=project.id, pipeline_id=pipeline.id, look_at=now))
            both.append(moved)
        return watch, (both[0], both[1])

    # --- history ---

    async def _judged_anew(self, project: Project, progress: Progress) -> Progress:
        """Where history stands; back at the top where other rules, or a longer horizon, judge it anew."""
        horizon = self._horizon(self._clock.now())
        reaches = progress.horizon is None or (horizon is not None and horizon >= progress.horizon)
        if progress.rules == self._policy.rules and reaches:
            return progress
        self._forget_walk(project)
        watch, _ = await self._moving(project, horizon, self._clock.now())
        anew = replace(progress, backfill_next=None, backfill_done=False, horizon=horizon, rules=self._policy.rules)
        await self._looks.save(project, anew, Findings(), watch=watch)
        return anew

    def _horizon(self, now: datetime) -> datetime | None:
        return None if self._policy.backfill is None else now - self._policy.backfill

    async def _history_page(self, project: Project, progress: Progress) -> Page[Job] | None:
        """The next page of history; None where the server does not understand the place any more."""
        pages = self._remote.project_jobs(project.id, resume=progress.backfill_next, priority=Priority.BACKFILL)
        try:
            page = self._counted(project, await anext(pages, _NOTHING))
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

    def _counted(self, project: Project, page: Page[Job]) -> Page[Job]:
        if page.undecodable:
            self._undecodable[project.id] = self._undecodable.get(project.id, 0) + page.undecodable
        return page

    def _forget_walk(self, project: Project) -> None:
        self._walks.pop(project.id, None)
        self._lowest.pop(project.id, None)

    # --- what moves ---

    async def _moved(self, project: Project, progress: Progress, *, thorough: bool) -> frozenset[int]:
        """Look at the pipelines that moved; which they were."""
        now = self._clock.now()
        after = progress
        children_due = progress.children_at is None or now - progress.children_at >= self._policy.max_interval
        # Never twice in a row, or a project that is polled no more often than this would not be asked anything else.
        children_due = children_due and project.id not in self._asked_for_children
        self._asked_for_children.discard(project.id)
        moved: list[Pipeline] = []
        if thorough or not children_due:
            listed = await moved_since(self._remote, project.id, progress.moved_to, progress.looked_at)
            moved += listed.pipelines
            after = replace(after, moved_to=listed.to, looked_at=listed.looked_at)
        else:
            self._asked_for_children.add(project.id)
        # A child moves on its own when its manual job is played; else its parent moves as well.
        if thorough or children_due or moved:
            listed = await moved_since(
                self._remote, project.id, progress.children_moved_to, progress.children_looked_at, source=CHILDREN
            )
            moved += listed.pipelines
            after = replace(after, children_moved_to=listed.to, children_looked_at=listed.looked_at, children_at=now)
        seen: frozenset[int] = frozenset()
        if any(pipeline.id > progress.newest_pipeline_id for pipeline in moved):
            seen, top = await self._fresh(project, progress)
            after = replace(after, newest_job_id=top, newest_pipeline_id=max((progress.newest_pipeline_id, *seen)))
        left = [pipeline for pipeline in moved if pipeline.id not in seen or self._looks.follows(project)]
        failures = await self._look_at_each(project, left, progress)
        # Only now: what broke half-way is asked for again.
        await self._looks.save(project, after, Findings())
        if failures:
            raise failures[0]
        return frozenset(pipeline.id for pipeline in moved)

    async def _look_at_each(
        self, project: Project, moved: Sequence[Pipeline], progress: Progress
    ) -> Sequence[RemoteError]:
        """Newest first. One that cannot be read is watched, so that it does not hide the others; why it could not."""
        failures: list[RemoteError] = []
        for pipeline in sorted(moved, key=lambda pipeline: pipeline.id, reverse=True):
            now = self._clock.now()
            watched = WatchedPipeline(project_id=project.id, pipeline_id=pipeline.id, look_at=now)
            late = pipeline.id <= progress.newest_pipeline_id
            try:
                if len(failures) < _MANY_FAILURES:
                    await self._looks.at(project, watched, known=False, late=late)
                    continue
            except (CredentialRefused, Throttled):
                raise
            except RemoteError as error:
                failures.append(error)
            await self._looks.watch_again(project, watched, looks=0, seen="")
        return failures

    async def _fresh(self, project: Project, progress: Progress) -> tuple[frozenset[int], int]:
        """Look at the jobs above those that are known: pipelines of which all jobs were among them, and the newest job.

        The marks stay where they are until all of it was seen: a walk that breaks is walked again.
        """
        walk = Walk(from_top=True)
        top, pipelines = progress.newest_job_id, set[int]()
        async for page in self._remote.project_jobs(project.id):
            new = [job for job in self._counted(project, page).items if job.id > progress.newest_job_id]
            top = max((top, *(job.id for job in new)))
            pipelines |= _pipeline_ids(new)
            # New since the last poll, hence later than any horizon; clocks that differ must not hide one.
            findings = await self._looks.judge(project, new, walk, None, backfill=False)
            await self._looks.save(project, progress, findings)
            if page.next is None or len(new) < len(page.items):
                break
        # A retry adds a new job to an older pipeline, whose other jobs were not among these.
        return frozenset(pipeline for pipeline in pipelines if pipeline > progress.newest_pipeline_id), top

    # --- pipelines ---

    async def _watched(self, project: Project, due: Sequence[WatchedPipeline]) -> None:
        failures: list[RemoteError] = []
        for watched in due:
            try:
                await self._looks.at(project, watched)
            except (CredentialRefused, Throttled):
                raise
            except RemoteError as error:
                # One that cannot be read must not hide the others, so it goes behind them.
                if not (watched.runs_in and isinstance(error, NotFound | Denied)):
                    failures.append(error)
                await self._looks.watch_again(project, watched, looks=watched.looks + 1, seen=watched.seen)
                if len(failures) == _MANY_FAILURES:
                    break
        if failures:
            raise failures[0]


def _pipeline_ids(jobs: Iterable[Job]) -> set[int]:
    return {job.pipeline.id for job in jobs if job.pipeline is not None}

"""Find every job that some rule selects, whenever it comes to finish.

Job ids are given when a pipeline is created, so a high-water mark alone misses what finishes late. Together these find
everything: new ids, newest first; history below them (``History``); running pipelines with jobs that may still be selected,
looked at until there are none; and pipelines that moved after they stood still.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from artifact_sync.core.model import Job, Project
from artifact_sync.engine.history import History
from artifact_sync.engine.judging import Findings, Walk, pipeline_ids
from artifact_sync.engine.looks import Looks, follows
from artifact_sync.engine.means import Means
from artifact_sync.engine.movement import CHILDREN, Movement
from artifact_sync.errors import CredentialRefused, Denied, NotFound, RemoteError, Throttled
from artifact_sync.ports import Progress, WatchedPipeline
from artifact_sync.ports.tracing import span

__all__ = ["Discovery"]

#: Pipelines that may fail before the rest of them is left to the next poll.
_MANY_FAILURES = 3
#: Pipelines held in memory at a time.
_BATCH = 100
#: Looks of one poll. A look leads to pipelines that were triggered, those to others; the rest is left to the next poll.
_MANY_LOOKS = 10_000
#: How often a project that never had child pipelines is asked for them.
_CHILDLESS = timedelta(hours=12)


class Discovery:
    """Follows projects. One call at a time for each project."""

    def __init__(self, means: Means) -> None:
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._policy = means.policy
        self._rules = means.rules
        self._looks = Looks(means)
        self._history = History(means, self._looks)
        #: Projects of which the last poll asked for child pipelines alone.
        self._asked_for_children: set[int] = set()

    async def poll(self, project: Project, *, thorough: bool = False) -> None:
        """Look at what moved and at the pipelines whose time has come, all of them if ``thorough``.

        A project in which nothing moved costs one request. Raises what Remote and State raise; what was saved by then
        stays, and the next poll goes on.
        """
        with span("poll", project=project.path_with_namespace):
            progress = await self._state.progress(project.id)
            if progress is None:
                await self._history.first(project)
            else:
                await self._moved(project, progress, thorough=thorough)
                if thorough:
                    await self._state.hasten(project.id, self._clock.now())
            await self._look(project, thorough=thorough)

    async def backfill(self, project: Project) -> bool:
        """Look at one page of history; whether there is more. Raises as ``poll``."""
        return await self._history.page(project)

    async def hinted(self, project: Project, pipeline_id: int) -> Sequence[Job]:
        """Look at a pipeline that somebody says has moved; its jobs. Raises what Remote and State raise."""
        with span("look", project=project.path_with_namespace, pipeline=pipeline_id):
            return await self._looks.hinted(project, pipeline_id)

    async def idle_for(self, project: Project) -> timedelta:
        """How long nothing has moved in it, as far as is known; zero for a project never seen. Raises StateError."""
        progress, now = await self._state.progress(project.id), self._clock.now()
        marks = (progress.moved_to, progress.children_moved_to) if progress else ()
        return max(now - max((mark for mark in marks if mark is not None), default=now), timedelta())

    def take_undecodable(self, project_id: int) -> int:
        """How many entries of the project's lists could not be understood since this was asked last."""
        return self._looks.take_undecodable(project_id)

    async def _moved(self, project: Project, progress: Progress, *, thorough: bool) -> None:
        """Look at what is new, and watch the other pipelines that moved."""
        now = self._clock.now()
        # The first child comes with its parent, which moves; none but those that history is too short for come alone.
        often = self._policy.max_interval if progress.children else _CHILDLESS
        children_due = progress.children_at is None or now - progress.children_at >= often
        # Never twice in a row, or a project that is polled no more often than this would not be asked anything else.
        children_due = children_due and project.id not in self._asked_for_children
        self._asked_for_children.discard(project.id)
        moved, seen = False, set[int]()
        if thorough or not children_due:
            movement = Movement(
                self._remote, self._clock, project.id, after=progress.moved_to, looked_at=progress.looked_at
            )
            progress, moved = await self._watched_movement(project, progress, movement, seen)
            progress = replace(progress, moved_to=movement.to, looked_at=movement.looked_at)
        else:
            self._asked_for_children.add(project.id)
        # A child moves on its own when its manual job is played; else its parent moves as well.
        if thorough or children_due or moved:
            movement = Movement(
                self._remote,
                self._clock,
                project.id,
                after=progress.children_moved_to,
                looked_at=progress.children_looked_at,
                source=CHILDREN,
            )
            progress, _ = await self._watched_movement(project, progress, movement, seen)
            progress = replace(
                progress,
                children_moved_to=movement.to,
                children_looked_at=movement.looked_at,
                children_at=now,
                children=progress.children or movement.any,
            )
        # Only now: what broke half-way is asked for again.
        await self._looks.save(project, progress, Findings())

    async def _watched_movement(
        self, project: Project, progress: Progress, movement: Movement, seen: set[int]
    ) -> tuple[Progress, bool]:
        """Look at what is new, watch the rest; the progress past what was new, and whether anything moved.

        ``seen`` gathers the pipelines of which all jobs were looked at. New ones have the highest ids, so the first page
        tells whether there are any.
        """
        moved, newest = False, progress.newest_pipeline_id
        async for page in movement.pages():
            if not moved and any(pipeline.id > newest for pipeline in page):
                found, top = await self._fresh(project, progress)
                seen |= found
                progress = replace(progress, newest_job_id=top, newest_pipeline_id=max((newest, *found)))
            moved = True
            every = follows(project, self._rules)
            await self._looks.watch(project, (pipeline for pipeline in page if every or pipeline.id not in seen))
        return progress, moved

    async def _fresh(self, project: Project, progress: Progress) -> tuple[frozenset[int], int]:
        """Look at the jobs above those that are known: pipelines of which all jobs were among them, and the newest job.

        The marks stay where they are until all of it was seen: a walk that breaks is walked again.
        """
        walk = Walk(from_top=True)
        top, pipelines = progress.newest_job_id, set[int]()
        async for page in self._remote.project_jobs(project.id):
            new = [job for job in self._looks.counted(project, page).items if job.id > progress.newest_job_id]
            top = max((top, *(job.id for job in new)))
            pipelines |= pipeline_ids(new)
            # New since the last poll, hence later than any horizon; clocks that differ must not hide one.
            findings = await self._looks.judge(project, new, walk, None, backfill=False)
            await self._looks.save(project, progress, findings)
            if page.next is None or len(new) < len(page.items):
                break
        # A retry adds a new job to an older pipeline, whose other jobs were not among these.
        return frozenset(pipeline for pipeline in pipelines if pipeline > progress.newest_pipeline_id), top

    async def _look(self, project: Project, *, thorough: bool) -> None:
        """Look at the watched pipelines that are due, and at those that they lead to.

        One that cannot be read does not hide the others: it is put off, and why it could not is raised in the end.
        """
        failures: list[RemoteError] = []
        async for watched in self._due(project, thorough=thorough):
            try:
                await self._looks.at(project, watched)
            except (CredentialRefused, Throttled):
                raise
            except RemoteError as error:
                await self._looks.put_off(watched)
                if not (watched.runs_in and isinstance(error, NotFound | Denied)):
                    failures.append(error)
                if len(failures) == _MANY_FAILURES:
                    raise failures[0] from None
        if failures:
            raise failures[0]

    async def _due(self, project: Project, *, thorough: bool) -> AsyncIterator[WatchedPipeline]:
        """Those that moved, and then those in which nothing did, for as long as one interval unless ``thorough``.

        Thousands may be looked at again and again. What moves meanwhile must not wait for all of them; they go on next time.
        """
        until, looks = self._clock.now(), 0
        # Each look puts the next one off beyond ``until``, or ends the watch.
        while looks < _MANY_LOOKS and (due := await self._state.due_pipelines(project.id, until, _BATCH)):
            looks += len(due)
            for watched in due:
                yield watched
                if watched.looks and not thorough and self._clock.now() - until > self._policy.interval:
                    return

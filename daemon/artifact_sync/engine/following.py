"""Looks at projects: once each in a pass, or again and again, the busy ones often and the idle ones less and less."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from artifact_sync.core.events import ProjectFailed, ProjectFound
from artifact_sync.core.hints import Hint, Receipt
from artifact_sync.core.model import Project
from artifact_sync.engine.audit import audit
from artifact_sync.engine.bell import Bell, rung
from artifact_sync.engine.discovery import Discovery
from artifact_sync.engine.hints import Hints
from artifact_sync.engine.means import Means
from artifact_sync.engine.projects import Resolved, resolve
from artifact_sync.errors import CredentialRefused, Refused, RemoteError
from artifact_sync.ports import Trouble

__all__ = ["Following", "Looked"]

#: A project whose polls fail is asked less and less, down to once in this time.
_LONGEST_BACKOFF = timedelta(minutes=30)
#: A project is asked again after this part of the time for which nothing has moved in it.
_IDLE_PARTS = 3
#: A daemon that is restarted every day audits, too.
_FIRST_AUDIT = timedelta(hours=1)
#: The subject of what concerns every project.
_GITLAB = "GitLab"


@dataclass(slots=True, kw_only=True)
class _Followed:
    """A project that the daemon polls, as GitLab had it last: it may be renamed at any time."""

    project: Project
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    #: Rung when a webhook hints at something in it.
    bell: Bell = field(default_factory=Bell)


@dataclass(slots=True, kw_only=True)
class Looked:
    """What one pass over the projects came to."""

    projects: int = 0
    #: What could not be looked at, each with its reason.
    problems: list[RemoteError] = field(default_factory=list)


class Following:
    """Discovery over all projects that the rules mean. ``found`` is called when there may be something new to do."""

    def __init__(self, means: Means, *, found: Callable[[], None], met: Iterable[int] = ()) -> None:
        """``met``: projects, by id, that are no news."""
        self._means = means
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._rules = means.rules
        self._policy = means.policy
        self._emit = means.emit
        self._found = found
        self._discovery = Discovery(means)
        self._met = set(met)
        self._followed: dict[int, _Followed] = {}
        self._in_trouble: set[str] = set()
        #: What the rules name and GitLab does not show.
        self._named_in_vain: set[str] = set()
        self._polls = anyio.CapacityLimiter(means.policy.polls)
        self._hints = Hints(means.clock, per_minute=means.policy.hinted)

    async def pass_over(self) -> Looked:
        """Every project to its horizon, once. Raises CredentialRefused, StateError, NoSpace; a RemoteError when none can be listed."""
        looked = Looked()
        resolved = await self._resolved()
        looked.problems += resolved.failures.values()
        async with anyio.create_task_group() as looking:
            for project in resolved.projects.values():
                looking.start_soon(self._pass, project, looked)
        return looked

    async def _pass(self, project: Project, looked: Looked) -> None:
        async with self._polls:
            try:
                await self._discovery.poll(project, thorough=True)
                self._found()
                while await self._discovery.backfill(project):
                    self._found()
            except CredentialRefused:
                raise
            except RemoteError as error:
                await self._troubled(project.path_with_namespace, error)
                looked.problems.append(error)
            else:
                if (strange := await self._understood(project)) is not None:
                    looked.problems.append(strange)
                looked.projects += 1
            self._found()

    async def end(self) -> None:
        """It ends before another one begins: what troubles it told of are for that one to find again. Raises StateError."""
        for subject in tuple(self._in_trouble):
            await self._well(subject)

    def successor(self, means: Means) -> Following:
        """One that takes over, by other rules."""
        return Following(means, found=self._found, met=self._met)

    async def follow(self) -> None:
        """Poll every project as long as it is listed, and audit all of them now and then, until cancelled. Raises StateError."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._audits)
            await self._keep_up(group)

    def hint(self, hint: Hint) -> Receipt:
        """Have a pipeline looked at before its time, where its project is followed. Never waits."""
        followed = self._followed.get(hint.project_id)
        if followed is None:
            return Receipt.IGNORED
        taken = self._hints.add(hint)
        followed.bell.ring()
        return Receipt.ACCEPTED if taken else Receipt.OVERFLOW

    async def _keep_up(self, group: TaskGroup) -> None:
        """Ask now and then which projects there are."""
        followed = self._followed
        wait = self._policy.interval
        while True:
            try:
                resolved = await self._resolved()
            except RemoteError as error:
                await self._troubled(_GITLAB, error)
                await self._clock.sleep(wait.total_seconds())
                wait = min(2 * wait, self._policy.resolve_every)
                continue
            for project_id, project in resolved.projects.items():
                if project_id in followed:
                    followed[project_id].project = project
                else:
                    followed[project_id] = _Followed(project=project)
                    group.start_soon(self._follow, followed[project_id])
            # One that is not listed now may be invisible for a moment, so it is followed on as long as the rest fails.
            if not resolved.failures:
                for project_id in followed.keys() - resolved.projects.keys():
                    followed.pop(project_id).scope.cancel()
                    self._hints.forget(project_id)
            if not resolved.failures:
                wait = self._policy.interval
            await self._clock.sleep((wait if resolved.failures else self._policy.resolve_every).total_seconds())
            # What fails again and again is asked for no more often than the rest, in the end.
            wait = min(2 * wait, self._policy.resolve_every)

    async def _follow(self, followed: _Followed) -> None:
        with followed.scope:
            await self._clock.sleep(random.random() * min(1.0, self._policy.interval.total_seconds()))
            failures = 0
            while True:
                project = followed.project
                try:
                    async with self._polls:
                        await self._discovery.poll(project)
                    self._found()
                    await self._understood(project)
                    # Busy projects are asked often, idle ones less and less.
                    wait = await self._discovery.idle_for(project) / _IDLE_PARTS
                    wait = min(max(wait, self._policy.interval), self._policy.max_interval)
                    due = self._clock.now() + wait
                    await self._history(project, until=due)
                    failures = 0
                    look = await self._state.next_look(project.id)
                    due = min(due, look or due)
                except RemoteError as error:
                    await self._troubled(project.path_with_namespace, error)
                    failures += 1
                    # Looks that are due wait as well, or it would be asked without a pause.
                    due = self._clock.now() + min(self._policy.interval * (1 << min(failures, 16)), _LONGEST_BACKOFF)
                await self._rest(followed, due)

    async def _rest(self, followed: _Followed, due: datetime) -> None:
        """Until the next poll is due. What webhooks hint at is looked at meanwhile, and brings that poll nearer."""
        while (left := (due - self._clock.now()).total_seconds()) > 0:
            ring, project = followed.bell.next_ring, followed.project
            wait = self._hints.wait(project.id)
            if wait == 0:
                await self._hinted(project)
                # It is busy, whatever it was before.
                soon = self._clock.now() + self._policy.interval
                due = min(due, soon, await self._state.next_look(project.id) or soon)
            else:
                await rung(ring, left if wait is None else min(left, wait), self._clock)

    async def _hinted(self, project: Project) -> None:
        if self._hints.crowded(project.id):
            await self._hinted_at_much(project)
            return
        hinted = self._hints.take(project.id)
        try:
            async with self._polls:
                jobs = await self._discovery.hinted(project, hinted.pipeline_id)
        except RemoteError:
            # The poll comes all the same, and tells what is wrong.
            self._hints.looked(project.id, hinted, None)
        else:
            self._hints.looked(project.id, hinted, jobs)
            self._found()

    async def _hinted_at_much(self, project: Project) -> None:
        taken = self._hints.take_all(project.id)
        running: frozenset[int] = frozenset()
        try:
            async with self._polls:
                await self._discovery.poll(project)
            running = await self._state.watched(project.id)
        except RemoteError:
            # As above.
            running = frozenset(hinted.pipeline_id for hinted in taken)
        self._hints.polled(project.id, taken, running)
        self._found()

    async def _history(self, project: Project, *, until: datetime) -> None:
        """Pages of history until it is time to look at what is new, and one at the least."""
        more = True
        while more:
            async with self._polls:
                more = await self._discovery.backfill(project)
            self._found()
            while self._hints.wait(project.id) == 0:
                await self._hinted(project)
            more = more and self._clock.now() < until

    async def _audits(self) -> None:
        """A complete listing of every project now and then: the proof that nothing was missed."""
        if self._policy.audit is None:
            return
        wait = min(self._policy.audit, _FIRST_AUDIT)
        while True:
            await self._clock.sleep(wait.total_seconds())
            wait = self._policy.audit
            for followed in tuple(self._followed.values()):
                try:
                    await self._audit(followed.project)
                except RemoteError as error:
                    self._emit(
                        ProjectFailed(
                            project=followed.project.path_with_namespace, error=f"audit: {error}", hint=error.hint
                        )
                    )
                self._found()

    async def _audit(self, project: Project) -> None:
        async with self._polls:
            await audit(project, self._means)

    async def _resolved(self) -> Resolved:
        resolved = await resolve(self._remote, self._rules)
        for subject in self._named_in_vain - resolved.failures.keys():
            await self._well(subject)
        self._named_in_vain = set(resolved.failures)
        for subject, error in resolved.failures.items():
            await self._troubled(subject, error)
        await self._well(_GITLAB)
        for project in resolved.projects.values():
            if project.id not in self._met:
                self._met.add(project.id)
                self._emit(ProjectFound(project_id=project.id, path=project.path_with_namespace))
        return resolved

    async def _understood(self, project: Project) -> RemoteError | None:
        """The project was listed; the error if some of it could not be understood."""
        if not (strange := self._discovery.take_undecodable(project.id)):
            await self._well(project.path_with_namespace)
            return None
        hint = "They are left out. Please report this with the version of GitLab that `artifact-sync check` shows."
        error = Refused(f"GET /api/v4/projects/{project.id}/jobs", f"{strange} entries not understood", hint=hint)
        await self._troubled(project.path_with_namespace, error)
        return error

    async def _troubled(self, subject: str, error: RemoteError) -> None:
        self._emit(ProjectFailed(project=subject, error=str(error), hint=error.hint))
        self._in_trouble.add(subject)
        trouble = Trouble(subject=subject, error=str(error), hint=error.hint, since=self._clock.now())
        await self._state.note_trouble(trouble)

    async def _well(self, subject: str) -> None:
        if subject in self._in_trouble:
            self._in_trouble.discard(subject)
            await self._state.clear_trouble(subject)

"""What webhooks hint at: pipelines to look at before their time.

Hints of one pipeline are one. A project has its turns apart from each other, and all turns together are a part of what may be
asked of GitLab, so that no flood of hints uses that up. Where many pipelines of a project wait, it is polled instead: that
tells by a request or two which of them have moved. What is one too many is left to polling, as if no webhook had come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from artifact_sync.core.hints import Hint
from artifact_sync.core.model import Job
from artifact_sync.engine.pace import Pace
from artifact_sync.ports import Clock

__all__ = ["Hinted", "Hints"]

#: Pipelines that wait for their look: in all, and of one project. Jobs of one that are remembered.
_MOST, _MOST_OF_ONE, _MOST_JOBS = 10_000, 500, 200
#: Pipelines of one project from which on it is polled instead, and seconds after such a poll.
_CROWD, _AFTER_CROWD = 20, 5.0
#: Seconds from a hint to the look: the webhooks of a job and of its pipeline come together.
_TOGETHER = 0.2
#: Seconds between two looks in one project, and between two at one pipeline.
_APART, _AGAIN = 0.25, 2.0
#: Seconds until a job is looked for again whose end GitLab does not show yet: a replica of its database may lag.
_LATER = (2.0, 10.0, 60.0)
#: Jobs on a page (https://docs.gitlab.com/api/rest/#pagination, the most that it gives).
_PAGE = 100


@dataclass(slots=True, kw_only=True)
class Hinted:
    """A pipeline to look at, and jobs of it that are said to have ended."""

    pipeline_id: int
    jobs: set[int] = field(default_factory=set)
    #: Not before, in monotonic seconds.
    due: float
    #: Looks that did not show what was hinted at.
    tries: int = 0
    #: It runs, as far as is known: that a job of it ends leaves no mark that a poll would see.
    runs: bool = False


@dataclass(slots=True)
class _Project:
    waiting: dict[int, Hinted] = field(default_factory=dict)
    #: Pipelines that were looked at just now, and until when they are left alone.
    rests: dict[int, float] = field(default_factory=dict)
    free_at: float = 0.0
    #: When its turn is, once it has asked for one.
    turn: float | None = None


class Hints:
    """Of all projects. Bounded; forgets nothing that it has accepted, but for a project that is not followed any more."""

    def __init__(self, clock: Clock, *, per_minute: float) -> None:
        self._clock = clock
        self._pace = Pace(per_minute)
        self._projects: dict[int, _Project] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many pipelines wait."""
        return self._count

    def add(self, hint: Hint) -> bool:
        """Have the pipeline looked at; False where too many wait already."""
        project = self._projects.setdefault(hint.project_id, _Project())
        known = project.waiting.get(hint.pipeline_id)
        if known is None and (self._count >= _MOST or len(project.waiting) >= _MOST_OF_ONE):
            return False
        now = self._clock.monotonic()
        due = max(now + _TOGETHER, project.rests.get(hint.pipeline_id, now))
        if known is None:
            known = project.waiting[hint.pipeline_id] = Hinted(pipeline_id=hint.pipeline_id, due=due)
            self._count += 1
        elif known.tries:
            # Said again: that it had not shown when it was looked at last tells nothing any more.
            known.tries, known.due = 0, min(known.due, due)
        if hint.job_id is not None and len(known.jobs) < _MOST_JOBS:
            known.jobs.add(hint.job_id)
        return True

    def wait(self, project_id: int) -> float | None:
        """Seconds until a look in this project, which has its turn reserved then; None: nothing waits."""
        project = self._projects.get(project_id)
        if project is None or not project.waiting:
            return None
        now = self._clock.monotonic()
        due = max(min(hinted.due for hinted in project.waiting.values()), project.free_at)
        if due > now:
            return due - now
        if project.turn is None:
            project.turn = self._pace.reserve(now)
        return max(0.0, project.turn - now)

    def take(self, project_id: int) -> Hinted:
        """What is to be looked at, now that ``wait`` said 0: the newest, before what was looked at in vain.

        In a flood the oldest first would make everything late; what waits too long is found by polling.
        """
        project, now = self._projects[project_id], self._clock.monotonic()
        due = (waiting for waiting in project.waiting.values() if waiting.due <= now)
        hinted = max(due, key=lambda waiting: (not waiting.tries, waiting.runs, waiting.due))
        del project.waiting[hinted.pipeline_id]
        self._count -= 1
        project.turn = None
        return hinted

    def crowded(self, project_id: int) -> bool:
        """Whether the project is to be polled now instead, that ``wait`` said 0."""
        return sum(not hinted.runs for hinted in self._projects[project_id].waiting.values()) > _CROWD

    def take_all(self, project_id: int) -> Sequence[Hinted]:
        """All that wait in a crowded project, for ``polled``."""
        project = self._projects[project_id]
        taken = tuple(project.waiting.values())
        self._count -= len(taken)
        project.waiting.clear()
        project.turn = None
        return taken

    def polled(self, project_id: int, taken: Sequence[Hinted], running: Collection[int]) -> None:
        """The project was polled, which is all that most of them need; a look is left for the ``running`` ones."""
        now = self._clock.monotonic()
        project = self._projects.setdefault(project_id, _Project())
        project.free_at = now + _AFTER_CROWD
        # What moved, which children did, and a page of new jobs.
        self._pace.charge(2)
        for hinted in taken:
            if hinted.pipeline_id in running and hinted.pipeline_id not in project.waiting:
                hinted.runs = True
                project.waiting[hinted.pipeline_id] = hinted
                self._count += 1

    def looked(self, project_id: int, hinted: Hinted, jobs: Sequence[Job] | None) -> None:
        """It was looked at, and has these jobs; None: it could not be. What they do not show is looked for again.

        Of a pipeline without any there is nothing to come: it was there long before a job of it ended.
        """
        now = self._clock.monotonic()
        project = self._projects.setdefault(project_id, _Project())
        project.free_at = now + _APART
        project.rests = {pipeline: until for pipeline, until in project.rests.items() if until > now}
        project.rests[hinted.pipeline_id] = now + _AGAIN
        self._pace.charge(len(jobs or ()) // _PAGE)
        unseen = hinted.jobs - {job.id for job in jobs or () if job.finished}
        if (jobs is None or (jobs and unseen)) and hinted.tries < len(_LATER):
            self._later(project, hinted, unseen, now)

    def _later(self, project: _Project, hinted: Hinted, unseen: Collection[int], now: float) -> None:
        again = project.waiting.get(hinted.pipeline_id)
        if again is None:
            due = now + _LATER[hinted.tries]
            again = Hinted(pipeline_id=hinted.pipeline_id, due=due, tries=hinted.tries + 1)
            project.waiting[hinted.pipeline_id] = again
            self._count += 1
        again.jobs.update(unseen)

    def forget(self, project_id: int) -> None:
        """The project is not followed any more."""
        if (project := self._projects.pop(project_id, None)) is not None:
            self._count -= len(project.waiting)

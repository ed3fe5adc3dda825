"""A world that lives: pipelines start, jobs end out of order, manual jobs are played, artifacts expire."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import anyio

from artifact_sync.simulator.archives import small
from artifact_sync.simulator.entities import stamp
from artifact_sync.simulator.state import JobSpec, SimJob, SimPipeline, SimProject
from artifact_sync.simulator.world import World

__all__ = ["LivingWorld", "Tell", "facts"]

#: Called with an event's name (``job.finished``) and its facts, ready to be written as JSON.
Tell = Callable[[str, dict[str, object]], None]

_TICK = 0.2
_FAILS = 0.1
_PLAYED = 0.5
_SOON = timedelta(seconds=90)


class LivingWorld:
    """Acts on a world at given times: those of a script (``at``), and about ``rate`` random pipelines a minute.

    All times are world time, so that a manual clock drives it: advance the clock, then ``step``.
    """

    def __init__(self, world: World, *, seed: object = 0, rate: float = 6.0, tell: Tell | None = None) -> None:
        self.world = world
        self.rate = rate
        self._luck = random.Random(f"living {seed}")
        self._began = world.clock.now()
        self._plan: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._tags = 0
        self.on_tell(tell)
        if rate > 0:
            self.after(60 / rate, self._something)

    def on_tell(self, tell: Tell | None) -> None:
        """Who is told what happens from now on."""
        self.world.listener = None if tell is None else lambda event, subject: tell(event, facts(subject))

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Plan something for so many seconds after the beginning."""
        self._push(self._began + timedelta(seconds=seconds), act)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Plan something for so many seconds from now."""
        self._push(self.world.clock.now() + timedelta(seconds=seconds), act)

    def step(self) -> None:
        """Do everything that is due, in order of its time."""
        while self._plan and self._plan[0][0] <= self.world.clock.now():
            heapq.heappop(self._plan)[2]()
        self.world.tick()

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            self.step()
            wait = self.world.clock.real_seconds(self._plan[0][0]) if self._plan else None
            await anyio.sleep(_TICK if wait is None else min(_TICK, wait))

    def run_job(self, job: SimJob, *, start: float, end: float, status: str = "success") -> None:
        """Plan a job's start and end, in seconds from now; nothing happens when somebody cancels it before."""
        self.after(start, lambda: None if job.finished else self.world.start(job))
        self.after(end, lambda: None if job.finished else self.world.finish(job, status))

    def _push(self, when: datetime, act: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (when, next(self._order), act))

    def _something(self) -> None:
        self.after(self._luck.uniform(0.5, 1.5) * 60 / self.rate, self._something)
        projects = [p for p in self.world.projects.values() if not p.archived]
        if projects:
            self._pipeline(self._luck.choice(projects))

    def _pipeline(self, project: SimProject) -> SimPipeline:
        luck, number = self._luck, len(self.world.pipelines)
        ref, tag, source = luck.choice(
            [
                (project.default_branch, False, "push"),
                (f"feature/{number}", False, "push"),
                (f"refs/merge-requests/{number}/head", False, "merge_request_event"),
                (f"v2.0.{number}", True, "push"),
            ]
        )
        pipeline = self.world.add_pipeline(project, ref, self._jobs(number), tag=tag, source=source)
        for job in pipeline.jobs:
            if job.status == "manual":
                if luck.random() < _PLAYED:
                    self.after(luck.uniform(10, 30), partial(self._play, job))
                continue
            start, length = luck.uniform(0, 2), luck.uniform(2, 10)
            failed = luck.random() < _FAILS
            self.run_job(job, start=start, end=start + length, status="failed" if failed else "success")
            if failed:
                self.after(start + length + 3, partial(self._retry, job))
        return pipeline

    def _jobs(self, number: int) -> list[JobSpec]:
        size = self._luck.choice([2_000, 20_000, 400_000])
        return [
            JobSpec("build", "build", archive=small(f"build {number}", size=size), expire_in=timedelta(days=7)),
            JobSpec("test", "test", archive=small(f"test {number}"), expire_in=_SOON, reports=("junit",)),
            JobSpec("lint", "test"),
            JobSpec("deploy", "deploy", when="manual", archive=small(f"deploy {number}"), expire_in=timedelta(days=1)),
        ]

    def _play(self, job: SimJob) -> None:
        if job.status == "manual":
            self.world.play(job)
            self.run_job(job, start=0.5, end=3)

    def _retry(self, job: SimJob) -> None:
        if job.finished and not job.retried:
            self.run_job(self.world.retry(job), start=0.5, end=4)


def facts(subject: SimJob | SimPipeline) -> dict[str, object]:
    """What there is to tell about a job or a pipeline."""
    pipeline = subject.pipeline if isinstance(subject, SimJob) else subject
    found: dict[str, object] = {
        "project": pipeline.project.path,
        "ref": pipeline.ref,
        "tag": pipeline.tag,
        "pipeline_id": pipeline.id,
        "source": pipeline.source,
        "status": subject.status,
    }
    if isinstance(subject, SimJob):
        archive = subject.archive
        found |= {
            "job": subject.name,
            "job_id": subject.id,
            "size": archive.size if archive else None,
            "expires_at": stamp(subject.expire_at),
        }
    return found

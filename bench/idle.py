"""What projects cost in which nothing happens, and how long something that happens then waits."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import median

from bench.virtual import START, Life, live

from artifact_sync.engine import EnginePolicy
from artifact_sync.simulator import JobSpec, World, small

__all__ = ["Idleness", "idle"]

_PROJECTS = 1000
#: The first hour is the start; the day after it has one audit in it. They end a minute early: an audit begins on the hour.
_HOURS = 25
_COMINGS = 40
#: Pipelines come spread over this time.
_COME_WITHIN = timedelta(hours=6)
_LONGEST_WAIT = timedelta(hours=3)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """Requests by hour, those of the day after the first hour by what they asked for, and waits in minutes."""

    projects: int
    by_hour: list[int]
    by_kind: Counter[str]
    by_purpose: Counter[str]
    #: Of each pipeline that came, from the end of its job until its archive was mirrored.
    waits: list[float]

    @property
    def least(self) -> float:
        """Requests an hour: each project is asked once in the longest time between two polls."""
        return self.projects * (_HOUR / EnginePolicy().max_interval)

    @property
    def at_rest(self) -> float:
        """Requests in an hour in the middle."""
        return median(self.by_hour[1:])

    @property
    def day(self) -> int:
        """Requests after the first hour, in all."""
        return sum(self.by_hour[1:])


def idle(*, projects: int = _PROJECTS, hours: int = _HOURS) -> Idleness:
    """A daemon and so many idle projects, for so many hours; then something comes in some of them, one after another."""

    async def act(life: Life) -> Idleness:
        asked = [life.granted]
        for hour in range(1, hours + 1):
            print(f"{projects:,} idle projects, hour {hour} of {hours} ...", flush=True)
            await life.daemon.until(START + hour * _HOUR - _MINUTE)
            asked.append(life.granted)
        kinds = life.traffic.kinds(since=59, before=60 * hours - 1)
        waits = await _comings(life)
        return Idleness(
            projects=projects,
            by_hour=[(after - before).total() for before, after in pairwise(asked)],
            by_kind=kinds,
            by_purpose=asked[-1] - asked[1],
            waits=waits,
        )

    return live(lambda world: _build(world, projects), act)


def _build(world: World, projects: int) -> None:
    """Each with a pipeline of two weeks ago, whose archive is there for two weeks to come."""
    world.clock.advance(timedelta(days=6))
    for number in range(projects):
        project = world.add_project(f"acme/p{number:04}")
        world.finish_all(world.add_pipeline(project, "main", [_job(f"old {number}")]).jobs)


def _job(seed: str) -> JobSpec:
    return JobSpec("build", archive=small(seed, {"result.txt": seed.encode()}), expire_in=timedelta(days=28))


async def _comings(life: Life) -> list[float]:
    chance = random.Random(1)
    begin, known = life.time.now(), len(life.ends.mirrored)
    moments = sorted(begin + chance.random() * _COME_WITHIN for _ in range(_COMINGS))
    ended = []
    for number, project in enumerate(chance.sample(list(life.world.projects.values()), _COMINGS)):
        if number % 10 == 0:
            print(f"a pipeline in each of {_COMINGS} of them, {number} so far ...", flush=True)
        await life.daemon.until(moments[number])
        pipeline = life.world.add_pipeline(project, "main", [_job(f"new {number}")])
        ended.append(life.world.finish(pipeline.jobs[0]))
    await life.mirror(known + _COMINGS, within=life.time.now() - START + _LONGEST_WAIT, told=lambda _: None)
    return [(life.ends.mirrored[job.id] - job.finished_at) / _MINUTE for job in ended if job.finished_at is not None]

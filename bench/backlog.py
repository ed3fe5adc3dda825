"""What a backlog costs that is there when the daemon starts: its time under the budget, and requests per archive."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bench.virtual import KEEP_SHARE, PER_MINUTE, START, Life, live

from artifact_sync.simulator import Delivery, JobSpec, Throttle, World, small

__all__ = ["LATER", "SOON", "Backlog", "Expiry", "Mirrored", "mirror"]

#: Jobs on a page of a list (https://docs.gitlab.com/api/rest/#pagination, the most that it gives).
_PAGE = 100
#: The longest that is waited for, in multiples of the least.
_PATIENCE = 20
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """When the jobs of a backlog ended, as time before the start, and how long their artifacts live."""

    first: timedelta
    last: timedelta
    lifetime: timedelta


#: In twenty days, when no keep is due.
LATER = Expiry(first=timedelta(days=10), last=timedelta(hours=1), lifetime=timedelta(days=30))
#: Within the lead of a keep, which is two days, and half of the artifacts' lifetime at the most.
SOON = Expiry(first=timedelta(hours=60), last=timedelta(hours=40), lifetime=timedelta(days=3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Finished pipelines, in turn in each of the projects. ``archives`` of the ``jobs`` of each have one.

    ``retried`` jobs in all were superseded by another of the same name, with an archive of its own.
    """

    projects: int
    pipelines: int
    jobs: int
    archives: int
    retried: int = 0
    expiry: Expiry = LATER
    delivery: Delivery = Delivery.LOCAL
    #: Of the budget, for keeps alone.
    keep_share: float = KEEP_SHARE

    @property
    def rate(self) -> float:
        """Requests a minute that everything but keeps may use."""
        return PER_MINUTE * (1 - self.keep_share)

    @property
    def wanted(self) -> int:
        """Archives that are to be mirrored."""
        return self.pipelines * self.archives

    @property
    def listed(self) -> int:
        """Jobs in the projects' lists."""
        return self.pipelines * self.jobs + self.retried

    def build(self, world: World) -> None:
        """Make it in an empty world."""
        world.delivery = self.delivery
        world.limits = replace(world.limits, throttle=Throttle(limit=PER_MINUTE))
        projects = [world.add_project(f"acme/p{number}") for number in range(self.projects)]
        world.clock.advance(START - self.expiry.first - world.clock.now())
        step = (self.expiry.first - self.expiry.last) / self.pipelines
        again = frozenset(random.Random(0).sample(range(self.pipelines), self.retried))
        for number in range(self.pipelines):
            pipeline = world.add_pipeline(projects[number % self.projects], "main", self._specs(number))
            world.finish_all(pipeline.jobs)
            if number in again:
                world.finish(world.retry(pipeline.jobs[0]))
            world.clock.advance(step)

    def _specs(self, number: int) -> Sequence[JobSpec]:
        return [
            JobSpec(
                f"job {index}",
                archive=small(f"{number} {index}", size=1024) if index < self.archives else None,
                expire_in=self.expiry.lifetime,
            )
            for index in range(self.jobs)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """How it went: minutes to the last archive, requests by what they asked for and by purpose, answers 429 by minute."""

    backlog: Backlog
    #: Requests without which it cannot be done: each download, each page of a list of jobs, one page of projects.
    least: int
    minutes: float
    by_kind: Counter[str]
    by_purpose: Counter[str]
    by_minute: Counter[int]
    throttled: Counter[int]

    @property
    def least_minutes(self) -> float:
        """What the least number of requests takes under the budget."""
        return self.least / self.backlog.rate

    @property
    def per_archive(self) -> float:
        """Requests for each archive that was mirrored."""
        return self.by_kind.total() / self.backlog.wanted


def mirror(backlog: Backlog) -> Mirrored:
    """Start a daemon on it, with a GitLab that allows as many requests a minute as the daemon asks at the most."""
    print(f"{backlog.wanted:,} archives of {backlog.listed:,} jobs ...", flush=True)

    async def act(life: Life) -> Mirrored:
        def told(mirrored: int) -> None:
            print(f"  {(life.time.now() - START) // _MINUTE} minutes: {mirrored:,} mirrored", flush=True)

        least = _least(life.world)
        last = await life.mirror(backlog.wanted, within=_PATIENCE * _MINUTE * least / PER_MINUTE, told=told)
        assert life.ends.mirrored.keys() == {
            job.id for job in life.world.jobs.values() if job.archive and not job.retried
        }
        return Mirrored(
            backlog=backlog,
            least=least,
            minutes=(last - START) / _MINUTE,
            by_kind=life.traffic.kinds(),
            by_purpose=life.granted,
            by_minute=life.traffic.minutes(),
            throttled=life.traffic.throttled(),
        )

    return live(backlog.build, act, keep_share=backlog.keep_share)


def _least(world: World) -> int:
    pages = sum(math.ceil(len(project.jobs) / _PAGE) for project in world.projects.values())
    downloads = sum(job.archive is not None and not job.retried for job in world.jobs.values())
    return downloads + pages + 1

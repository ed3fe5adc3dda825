"""A simulated GitLab and a daemon on a virtual clock, so that what is measured does not depend on the machine."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from bench.traffic import Traffic

from artifact_sync.core.events import Event, Kept, TransferEnded
from artifact_sync.core.rules import ProjectSelectors, Rule
from artifact_sync.engine import EnginePolicy
from artifact_sync.errors import Outcome
from artifact_sync.gitlab import ClientOptions, EnvToken
from artifact_sync.simulator import SimClock, World, serve
from tests.promises.virtual_daemon import VirtualDaemon, folder
from tests.promises.virtual_loop import Census, run_virtually
from tests.promises.virtual_time import START, VirtualTime

__all__ = ["BEFORE", "KEEP_SHARE", "PER_MINUTE", "START", "Life", "Stuck", "live"]

T = TypeVar("T")
#: When history begins; the daemon begins at ``START``, on the minute.
BEFORE = START - timedelta(days=20)
#: Requests a minute, as the configuration has it by default.
PER_MINUTE = 600
#: The part of them that only keeps may use.
KEEP_SHARE = 0.1
_MINUTE = timedelta(minutes=1)


class Stuck(Exception):
    """What was to be mirrored is not, after much more time than it takes."""


class _Ends(list[Event]):
    """Takes the place of a daemon's list of events: remembers when each job was mirrored, and forgets the rest."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time
        self.mirrored: dict[int, datetime] = {}
        self.outcomes: Counter[str] = Counter()

    def append(self, event: Event) -> None:
        """As a list does, but for what is kept of it."""
        if isinstance(event, TransferEnded):
            self.outcomes[event.outcome] += 1
            if event.outcome is Outcome.PUBLISHED:
                self.mirrored[event.job_id] = self._time.now()
        elif isinstance(event, Kept):
            self.outcomes[f"keep {event.result}"] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A daemon that runs, and what it has done since ``START``."""

    world: World
    daemon: VirtualDaemon
    time: VirtualTime
    traffic: Traffic
    ends: _Ends

    @property
    def granted(self) -> Counter[str]:
        """The client's own count of its requests, by purpose."""
        assert self.daemon.remote is not None
        return Counter({priority.name: count for priority, count in self.daemon.remote.requests.items()})

    async def mirror(self, jobs: int, *, within: timedelta, told: Callable[[int], None]) -> datetime:
        """Let time pass until so many jobs are mirrored, minute by minute; when the last of them was.

        Raises Stuck.
        """
        while len(self.ends.mirrored) < jobs:
            if self.time.now() - START > within:
                raise Stuck(f"{len(self.ends.mirrored)} of {jobs} mirrored after {within}: {dict(self.ends.outcomes)}")
            await self.daemon.until(self.time.now() + _MINUTE)
            told(len(self.ends.mirrored))
        return max(self.ends.mirrored.values())


def live(build: Callable[[World], None], act: Callable[[Life], Awaitable[T]], *, keep_share: float = KEEP_SHARE) -> T:
    """Run a daemon with the defaults of everything, over one rule that wants every archive below ``acme``.

    ``build`` fills a world, and lets its clock pass from ``BEFORE`` to ``START`` at the latest. Answers take no time.
    """
    # Progress is what a terminal shows here; what was retried is in the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    async def lived(census: Census) -> T:
        random.seed(0)
        world = World(clock=SimClock.manual(BEFORE), seed=0)
        build(world)
        assert world.clock.now() <= START
        world.clock.advance(START - world.clock.now())
        world.requests = traffic = Traffic(START)
        time = VirtualTime(world.clock, census)
        ends = _Ends(time)
        with folder() as path:
            async with serve(world):
                daemon = VirtualDaemon(
                    world=world,
                    path=path,
                    time=time,
                    census=census,
                    rules=[Rule(name="all", projects=ProjectSelectors.parse(["acme/**"]))],
                    policy=EnginePolicy(),
                    per_minute=PER_MINUTE,
                    keep_share=keep_share,
                    attempts=ClientOptions(base_url=world.url, token=EnvToken("TOKEN")).attempts,
                    events=ends,
                )
                await daemon.start()
                try:
                    return await act(Life(world=world, daemon=daemon, time=time, traffic=traffic, ends=ends))
                finally:
                    await daemon.stop()

    return run_virtually(lived)

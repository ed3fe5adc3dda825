"""P1, nothing is missed: every job that a rule selects is mirrored, however it came to finish."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st

from artifact_sync.engine import EnginePolicy
from artifact_sync.simulator import SimClock, World, serve
from tests.promises.ci_life import CiLife, DoAct, acts
from tests.promises.many_worlds import hold
from tests.promises.virtual_daemon import VirtualDaemon, folder
from tests.promises.virtual_loop import Census
from tests.promises.virtual_time import START, VirtualTime
from tests.promises.wanted_rules import MENU, PATHS, Oracle, Wanted

#: How long nothing happens before the mirror has to be complete.
QUIET = timedelta(days=2)
_POLICY = {
    # Nobody orders anything in these worlds.
    "orders_every": timedelta(hours=1),
    "interval": timedelta(minutes=10),
    "max_interval": timedelta(hours=4),
    "backfill": None,
    # It would find what discovery has missed.
    "audit": None,
    "downloads": 2,
    "polls": 2,
    "keeps": 1,
    "longest_look": timedelta(hours=4),
    "resolve_every": timedelta(hours=3),
}
POLICY = EnginePolicy(**{f.name: _POLICY[f.name] for f in fields(EnginePolicy) if f.name in _POLICY})  # type: ignore[arg-type]
KINDS = (
    *("pipeline",) * 5,
    *("finish",) * 5,
    *("finish_all",) * 4,
    *("play",) * 5,
    *("child", "downstream") * 3,
    *("slow", "late", "late") * 2,
    *("start", "retry", "again", "lag", "hide", "rename", "fault", "down", "restart"),
)
#: What has to have happened in a run, or it proves nothing.
COVERED = (
    *("out of order", "manual, days later", "manual in a child, days later", "delayed", "retry", "failed", "canceled"),
    *("skipped", "child", "downstream", "trigger by hand", "back to running", "late archive", "down", "restart"),
    *("seen late", "replica behind"),
    *("restart in the middle", "invisible", "renamed", "fault 500", "fault 502"),
)


class _Life:
    """One world, its daemon, and what is on the agenda."""

    def __init__(self, world: World, daemon: VirtualDaemon, oracle: Oracle) -> None:
        self._daemon = daemon
        self._oracle = oracle
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._turns = itertools.count()
        self.ci = CiLife(world, self._later)

    def _later(self, minutes: float, step: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (self._daemon.time.now() + timedelta(minutes=minutes), next(self._turns), step))

    async def live(self, script: Sequence[DoAct]) -> None:
        """Everything that the script has, and then quiet."""
        await self._daemon.start()
        self._oracle.observe()
        for act in script:
            await self._pass(timedelta(minutes=act.after))
            if act.kind == "down":
                await self._down(act)
            elif act.kind == "restart":
                await self._restart(act)
            else:
                self.ci.act(act)
            self._oracle.observe()
        await self._pass(timedelta(days=1))
        self.ci.settle_down()
        if not self._daemon.up:
            await self._daemon.start()
        self._oracle.observe()
        await self._pass(QUIET)

    async def _pass(self, span: timedelta) -> None:
        end = self._daemon.time.now() + span
        while self._agenda and self._agenda[0][0] <= end:
            moment, _, step = heapq.heappop(self._agenda)
            await self._daemon.until(moment)
            made = step()
            if isinstance(made, Awaitable):
                await made
            self._oracle.observe()
        await self._daemon.until(end)

    async def _down(self, act: DoAct) -> None:
        if self._daemon.up:
            await self._daemon.stop()
            self.ci.done["down"] += 1
            self._later(60 * (act.how + 1) ** 2, self._up)

    async def _up(self) -> None:
        if not self._daemon.up:
            await self._daemon.start()

    async def _restart(self, act: DoAct) -> None:
        if not self._daemon.up:
            return
        if await self._daemon.cut(1 + act.who * act.who * (1 + act.how)):
            self.ci.done["restart in the middle"] += 1
        await self._daemon.start()
        self.ci.done["restart"] += 1


async def _lived(
    census: Census, total: Counter[str], projects: int, wanted: Sequence[Wanted], script: Sequence[DoAct]
) -> list[str]:
    random.seed(0)
    world = World(clock=SimClock.manual(START), seed=0)
    time = VirtualTime(world.clock, census)
    for path in PATHS:
        world.add_group(path.rpartition("/")[0])
    for path in PATHS[:projects]:
        world.add_project(path)
    oracle = Oracle(world, wanted)
    with folder() as place:
        async with serve(world):
            rules = [one.rule() for one in wanted]
            daemon = VirtualDaemon(world=world, path=place, time=time, census=census, rules=rules, policy=POLICY)
            life = _Life(world, daemon, oracle)
            try:
                await life.live(script)
            finally:
                await daemon.stop()
            mirrored = daemon.mirrored()
    total.update(life.ci.done)
    total.update({"worlds": 1, "archives": len(mirrored), "requests": world.requests.total, "jobs": len(world.jobs)})
    total["days"] += (time.now() - START).days
    return oracle.wrong(mirrored)


_WORLDS = {
    "projects": st.integers(1, len(PATHS)),
    "wanted": st.lists(st.sampled_from(MENU), min_size=1, max_size=4, unique_by=lambda one: one.name),
    "script": acts(KINDS, most=60),
}


@pytest.mark.timeout(900)
def test_nothing_is_missed_in_thirty_worlds():
    """After quiescence the mirror holds what the rules select, in worlds where everything happens that GitLab allows."""
    hold(_lived, covered=COVERED, worlds=30, repeatable=True, **_WORLDS)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_missed_in_five_hundred_worlds():
    """The same in worlds that no run has seen before."""
    hold(_lived, covered=COVERED, worlds=500, repeatable=False, **_WORLDS)

"""P2, nothing expires unmirrored: what is lost could not have been saved.

When may a job be lost? Let it be released (ended, with its archive) at ``r`` and expire at ``d``, with ``rate`` requests a
minute in the budget. Saving a job takes up to three requests: one that asks GitLab to keep it, one that reads it again
(after a keep to believe it, after a refusal to tell maintenance from missing rights), and its download. Those that expire
no later than ``d`` and were released since some moment ``t`` therefore need ``3 n(t, d)`` requests between ``t`` and
``d``; the budget has ``rate (d - t)`` of them, less what the daemon needs to find work at all: it may learn of a job
``SEEN_AFTER`` its end, and looks at each project every so often (``LOOKS``). Going by the soonest deadline is optimal for
one resource (Liu and Layland, 1973, section 7; Dertouzos, 1974): if it misses ``d``, there is a ``t <= r`` for which the
need is larger than what there is, and then no other order helps either, for each of the ``n`` is as pressing as this one.

So a job is excused when there is such a ``t``, and only then. It is no excuse that the daemon was busy with what expires
later, that it asked for what is refused over and over, that it went by its own clock, or that it polled the night through.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from artifact_sync.core.rules import Keep, KeepPolicy
from artifact_sync.engine import EnginePolicy
from artifact_sync.simulator import TOKEN, JobSpec, SimClock, SimJob, SimProject, SimToken, World, serve, small
from tests.promises.virtual_daemon import VirtualDaemon, folder
from tests.promises.virtual_loop import Census, run_virtually
from tests.promises.virtual_time import START, VirtualTime
from tests.promises.wanted_rules import Wanted

_POLICY = {
    "interval": timedelta(minutes=20),
    "max_interval": timedelta(hours=1),
    "longest_look": timedelta(hours=1),
    "resolve_every": timedelta(hours=2),
    "backfill": None,
    "audit": None,
    "downloads": 4,
}
POLICY = EnginePolicy(**{f.name: _POLICY[f.name] for f in fields(EnginePolicy) if f.name in _POLICY})  # type: ignore[arg-type]
WANTED = Wanted(name="all", selectors=("**",), keep=Keep(policy=KeepPolicy.BEFORE_EXPIRY, lead=timedelta(hours=12)))
#: How long after its end a job is known at the latest: an idle project is asked in turn for its pipelines and for child pipelines.
SEEN_AFTER = timedelta(minutes=135)
#: Requests a minute for looking at one project: its lists of pipelines, children and jobs, at the shortest interval.
LOOKS = 4 / 20
#: Requests to save one job.
COST = 3
_HOURS = (4, 6, 8, 12, 24, 48, 96)
_MANY = (2, 15, 30, 60, 100)
_GAPS = (0, 5, 30, 90, 240)


@dataclass(frozen=True)
class Burst:
    """So many jobs of one project end ``after`` some minutes, and expire in ``hours``."""

    after: int
    project: int
    jobs: int
    hours: int


@dataclass(frozen=True)
class Maintenance:
    """Nobody may write for so many hours."""

    after: int
    hours: int


_BURSTS = st.builds(Burst, st.sampled_from(_GAPS), st.integers(0, 2), st.sampled_from(_MANY), st.sampled_from(_HOURS))
_SPANS = st.builds(Maintenance, st.sampled_from(_GAPS), st.sampled_from((1, 3, 12)))
SCRIPTS = st.lists(st.one_of(_BURSTS, _BURSTS, _BURSTS, _BURSTS, _BURSTS, _SPANS), min_size=4, max_size=10)


@dataclass(frozen=True)
class Setting:
    """What does not change in a world: the budget, where keep is refused, and how wrong the daemon's clock is."""

    per_minute: int
    refusing: frozenset[int]
    off: timedelta


SETTINGS = st.builds(
    Setting,
    st.sampled_from((1, 2, 3)),
    st.frozensets(st.integers(0, 2), max_size=3),
    st.sampled_from((timedelta(), timedelta(hours=1), timedelta(hours=-1))),
)


@dataclass(frozen=True)
class _Released:
    job: SimJob
    at: datetime
    expires: datetime


def _end(world: World, project: SimProject, burst: Burst) -> list[_Released]:
    number = len(world.jobs)
    specs = [
        JobSpec(
            f"build {index}",
            archive=small(f"{number} {index}", {"result.txt": f"{number} {index}\n".encode()}),
            expire_in=timedelta(hours=burst.hours),
        )
        for index in range(burst.jobs)
    ]
    ended = [world.finish(job) for job in world.add_pipeline(project, "main", specs).jobs]
    return [_Released(job, job.finished_at, job.expire_at) for job in ended if job.finished_at and job.expire_at]


def inexcusable(
    lost: Sequence[_Released], released: Sequence[_Released], setting: Setting, projects: int
) -> list[_Released]:
    """Those among the lost that a better order would have saved: the argument is in this module's docstring."""
    return [one for one in lost if not any(_too_many(one, since.at, released, setting, projects) for since in released)]


def _too_many(one: _Released, since: datetime, released: Sequence[_Released], setting: Setting, projects: int) -> bool:
    if since > one.at:
        return False
    need = COST * sum(since <= other.at and other.expires <= one.expires for other in released)
    minutes = (one.expires - since) / timedelta(minutes=1)
    there = setting.per_minute * (minutes - SEEN_AFTER / timedelta(minutes=1)) - LOOKS * projects * minutes
    return need > there


async def _lived(
    census: Census, setting: Setting, script: Sequence[Burst | Maintenance], total: Counter[str]
) -> list[str]:
    random.seed(0)
    world = World(clock=SimClock.manual(START), seed=0)
    world.add_token(SimToken(value=TOKEN, protected=False))
    time = VirtualTime(world.clock, census)
    projects = [world.add_project(f"acme/p{number}") for number in range(3)]
    for number, project in enumerate(projects):
        project.keep_latest = False
        project.protected_refs = {"main"} if number in setting.refusing else set()
    released: list[_Released] = []
    maintenance_ends = START
    with folder() as path:
        async with serve(world):
            daemon = VirtualDaemon(
                world=world,
                path=path,
                time=time,
                census=census,
                rules=[WANTED.rule()],
                policy=POLICY,
                per_minute=setting.per_minute,
                off=setting.off,
            )
            await daemon.start()
            try:
                for act in script:
                    moment = time.now() + timedelta(minutes=act.after)
                    if world.maintenance and maintenance_ends <= moment:
                        await daemon.until(max(maintenance_ends, time.now()))
                        world.maintenance = False
                    await daemon.until(moment)
                    world.tick()
                    if isinstance(act, Maintenance):
                        world.maintenance, maintenance_ends = True, moment + timedelta(hours=act.hours)
                    else:
                        released += _end(world, projects[act.project], act)
                await daemon.until(max(maintenance_ends, time.now()))
                world.maintenance = False
                # Everything has expired by then, or was kept and fetched.
                await daemon.until(time.now() + timedelta(days=5))
                world.tick()
            finally:
                await daemon.stop()
            mirrored = daemon.mirrored()
    lost = [one for one in released if ("all", one.job.id) not in mirrored]
    wrong = inexcusable(lost, released, setting, len(projects))
    total.update(worlds=1, jobs=len(released), mirrored=len(mirrored), lost=len(lost), kept=len(world.kept_jobs()))
    total.update({f"off by {setting.off}": 1, "requests": world.requests.total})
    total["keep refused"] += sum(seen.status == 403 for seen in world.requests)
    total["maintenance"] += sum(isinstance(act, Maintenance) for act in script)
    total["lost where keep was refused"] += sum(one.job.project.protected_refs != set() for one in lost)
    assert all(one.job.removed for one in lost), "what GitLab still has is mirrored in the end"
    return [
        f"lost though there was time: job {one.job.id} of {one.job.project.path}, {one.at:%d %H:%M} to {one.expires:%d %H:%M}"
        for one in wrong
    ]


#: What has to have happened in a run, or it proves nothing.
COVERED = (
    *("lost", "kept", "mirrored", "keep refused", "maintenance"),
    *(f"off by {timedelta(hours=hours)}" for hours in (-1, 0, 1)),
)


def _check(total: Counter[str], examples: int, *, derandomize: bool) -> None:
    @settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(setting=SETTINGS, script=SCRIPTS)
    def every_world(setting: Setting, script: list[Burst | Maintenance]) -> None:
        wrong = run_virtually(lambda census: _lived(census, setting, script, total))
        assert not wrong, "\n".join(wrong)

    every_world()
    print("\n" + ", ".join(f"{kind}: {count}" for kind, count in sorted(total.items())))  # noqa: T201 -- what the run covered, with -s or on a failure
    assert [kind for kind in COVERED if not total[kind]] == []


@pytest.mark.timeout(900)
def test_nothing_that_could_be_saved_is_lost_in_thirty_worlds():
    """With a budget too small for everything, refused keeps and a wrong clock, only what no order could save is lost."""
    _check(Counter(), 30, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_that_could_be_saved_is_lost_in_three_hundred_worlds():
    """The same in worlds that no run has seen before."""
    _check(Counter(), 300, derandomize=False)

"""P2, nothing expires unmirrored: what is lost could not have been saved.

When may a job be lost? Let it be released (ended, with its archive) at ``r`` and expire at ``d``, with ``rate`` requests a
minute in the budget. Saving a job takes its download, and before that, where it may be kept, one request that asks GitLab to
keep it and one that reads it again to believe it. Those that expire no later than ``d`` and were released since some moment
``t`` therefore need one or three requests each between ``t`` and ``d``; the budget has ``rate (d - t)`` of them, less what
the daemon needs to find work at all: it may learn of a job ``SEEN_AFTER`` its end, looks at each project every so often
(``LOOKS``), and asks now and then whether a refusal still holds (``PROBES``). Going by the soonest deadline is optimal for
one resource (Liu and Layland, 1973, section 7; Dertouzos, 1974): if it misses ``d``, there is a ``t <= r`` for which the
need is larger than what there is, and then no other order helps either, for each of them is as pressing as this one.

In an outage of the storage nothing can be downloaded, in maintenance nothing can be kept, and some projects refuse every
keep. A minute counts only if each of the ``n`` could be saved in it: in an outage those of projects that refuse cannot, and
in maintenance nobody's.

So a job is excused when there is such a ``t``, and only then. It is no excuse that the daemon was busy with what expires
later, that it asked for what is refused over and over, or that its downloads failed over and over, that it went by its own
clock, or that it polled the night through.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import strategies as st

from artifact_sync.core.rules import Keep, KeepPolicy
from artifact_sync.engine import EnginePolicy
from artifact_sync.simulator import TOKEN, JobSpec, SimClock, SimJob, SimProject, SimToken, World, serve, small
from artifact_sync.simulator.faults import Answer, Fault
from tests.promises.many_worlds import hold
from tests.promises.virtual_daemon import VirtualDaemon, folder
from tests.promises.virtual_loop import Census
from tests.promises.virtual_time import START, VirtualTime
from tests.promises.wanted_rules import Wanted

_POLICY = {
    # Nobody orders anything in these worlds, and no rule lets anything go.
    "orders_every": timedelta(hours=1),
    "prune_every": timedelta(days=365),
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
#: How long after its end a job is known at the latest: an idle project is polled every hour, and requests wait for their turn.
SEEN_AFTER = timedelta(minutes=75)
#: How long after the end of a span it is known to be over at the latest: what refuses is not asked all the time.
NOTICED_AFTER = timedelta(minutes=35)
#: Requests a minute for looking at one project: its lists of pipelines, children and jobs, at the shortest interval.
LOOKS = 4 / 20
#: Requests to save one job.
DOWNLOAD, KEEP = 1, 2
#: Requests a minute to learn that a project refuses still: the call and a read, twice an hour each.
PROBES = 3 * 2 * 2 / 60
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
class Span:
    """For so many hours nobody may write (``maintenance``), or no archive can be read (``outage``)."""

    kind: str
    after: int
    hours: int


@dataclass(frozen=True)
class Lived:
    """A span as it was."""

    kind: str
    begin: datetime
    end: datetime


_BURSTS = st.builds(Burst, st.sampled_from(_GAPS), st.integers(0, 2), st.sampled_from(_MANY), st.sampled_from(_HOURS))
_SPANS = st.builds(
    Span, st.sampled_from(("maintenance", "outage", "outage")), st.sampled_from(_GAPS), st.sampled_from((1, 3, 12))
)
SCRIPTS = st.lists(st.one_of(_BURSTS, _BURSTS, _BURSTS, _SPANS), min_size=4, max_size=10)


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


def inexcusable(lost: Sequence[_Released], released: Sequence[_Released], world: _Circumstances) -> list[_Released]:
    """Those among the lost that a better order would have saved: the argument is in this module's docstring."""
    return [one for one in lost if not any(_too_many(one, since.at, released, world) for since in released)]


@dataclass(frozen=True)
class _Circumstances:
    setting: Setting
    projects: int
    spans: Sequence[Lived]

    def useful(self, since: datetime, until: datetime, *, refusing: bool) -> timedelta:
        """Time in which everything could be saved, also what can only be downloaded."""
        noticed = [(span.kind, span.begin, span.end + NOTICED_AFTER) for span in self.spans]
        edges = sorted({since, until, *(at for _, *both in noticed for at in both if since < at < until)})
        found = timedelta()
        for one, two in pairwise(edges):
            kinds = {kind for kind, begin, end in noticed if begin <= one and two <= end}
            if "outage" not in kinds or not (refusing or "maintenance" in kinds):
                found += two - one
        return found


def _too_many(one: _Released, since: datetime, released: Sequence[_Released], world: _Circumstances) -> bool:
    if since > one.at:
        return False
    these = [other for other in released if since <= other.at and other.expires <= one.expires]
    refusing = any(other.job.project.protected_refs for other in these)
    useful = world.useful(min(since + SEEN_AFTER, one.expires), one.expires, refusing=refusing)
    looks = LOOKS * world.projects * ((one.expires - since) / timedelta(minutes=1))
    need = sum(DOWNLOAD if other.job.project.protected_refs else DOWNLOAD + KEEP for other in these)
    asked = PROBES * ((one.expires - since) / timedelta(minutes=1))
    return need + asked > world.setting.per_minute * (useful / timedelta(minutes=1)) - looks


def _suffer(world: World, spans: Sequence[Lived], now: datetime) -> None:
    """Let be what is at this moment."""
    kinds = {span.kind for span in spans if span.begin <= now < span.end}
    world.maintenance = "maintenance" in kinds
    world.faults.clear()
    if "outage" in kinds:
        world.faults.add(Fault(action=Answer(status=503), path="/jobs/[0-9]+/artifacts$", times=None))


async def _until(daemon: VirtualDaemon, moment: datetime, spans: Sequence[Lived]) -> None:
    """Let time pass, and every span end in it."""
    now = daemon.time.now()
    for end in sorted({moment, *(span.end for span in spans if now < span.end < moment)}):
        await daemon.until(end)
        daemon.world.tick()
        _suffer(daemon.world, spans, end)


def _kept_only(one: _Released, spans: Sequence[Lived]) -> bool:
    """Whether it would have expired in an outage that had begun before it was released."""
    return any(span.kind == "outage" and span.begin <= one.at and one.expires <= span.end for span in spans)


def _decided(released: Sequence[_Released], daemon: VirtualDaemon) -> bool:
    """Whether each of them is mirrored or lost."""
    mirrored = daemon.mirrored()
    return all(one.job.removed or ("all", one.job.id) in mirrored for one in released)


async def _lived(census: Census, total: Counter[str], setting: Setting, script: Sequence[Burst | Span]) -> list[str]:
    random.seed(0)
    world = World(clock=SimClock.manual(START), seed=0)
    world.add_token(SimToken(value=TOKEN, protected=False))
    time = VirtualTime(world.clock, census)
    projects = [world.add_project(f"acme/p{number}") for number in range(3)]
    for number, project in enumerate(projects):
        project.keep_latest = False
        project.protected_refs = {"main"} if number in setting.refusing else set()
    released: list[_Released] = []
    spans: list[Lived] = []
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
                    await _until(daemon, time.now() + timedelta(minutes=act.after), spans)
                    if isinstance(act, Burst):
                        released += _end(world, projects[act.project], act)
                    else:
                        spans.append(Lived(act.kind, time.now(), time.now() + timedelta(hours=act.hours)))
                        _suffer(world, spans, time.now())
                # Everything has expired by then, or was kept and fetched; mostly long before.
                end = max((time.now(), *(span.end for span in spans))) + timedelta(days=5)
                while time.now() < end and not _decided(released, daemon):
                    await _until(daemon, time.now() + timedelta(hours=6), spans)
            finally:
                await daemon.stop()
            mirrored = daemon.mirrored()
    lost = [one for one in released if ("all", one.job.id) not in mirrored]
    wrong = inexcusable(lost, released, _Circumstances(setting, len(projects), spans))
    total.update(worlds=1, jobs=len(released), mirrored=len(mirrored), lost=len(lost), kept=len(world.kept_jobs()))
    total.update({f"off by {setting.off}": 1, "requests": world.requests.total})
    total["keep refused"] += sum(seen.status == 403 for seen in world.requests)
    total.update(span.kind for span in spans)
    total["outage survived by a keep"] += sum(_kept_only(one, spans) for one in released if one not in lost)
    total["lost where keep was refused"] += sum(one.job.project.protected_refs != set() for one in lost)
    assert all(one.job.removed for one in lost), "what GitLab still has is mirrored in the end"
    return [
        f"lost though there was time: job {one.job.id} of {one.job.project.path}, {one.at:%d %H:%M} to {one.expires:%d %H:%M}"
        for one in wrong
    ]


#: What has to have happened in a run, or it proves nothing.
COVERED = (
    *("lost", "kept", "mirrored", "keep refused", "maintenance", "outage", "outage survived by a keep"),
    *(f"off by {timedelta(hours=hours)}" for hours in (-1, 0, 1)),
)


@pytest.mark.timeout(900)
def test_nothing_that_could_be_saved_is_lost_in_thirty_worlds():
    """With a budget too small for everything, refused keeps and a wrong clock, only what no order could save is lost."""
    hold(_lived, covered=COVERED, worlds=30, repeatable=True, setting=SETTINGS, script=SCRIPTS)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_that_could_be_saved_is_lost_in_three_hundred_worlds():
    """The same in worlds that no run has seen before."""
    hold(_lived, covered=COVERED, worlds=300, repeatable=False, setting=SETTINGS, script=SCRIPTS)

"""Backfill: down to its horizon, again under other rules, on from where it was stopped, and through errors."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from artifact_sync.core.events import Discovered, Selected
from artifact_sync.engine import EnginePolicy
from artifact_sync.errors import Transient
from artifact_sync.ports import Priority
from artifact_sync.simulator import JobSpec, SimJob, World, small
from artifact_sync.simulator.faults import Answer, Fault, Stall
from tests.integration.engine.engine_harness import (
    DAY,
    QUICK,
    Hasty,
    asked,
    build,
    digests,
    history,
    mirrored,
    rig,
    rule,
    running,
    until,
)

LIST = "/projects/1/jobs$"


def horizon(backfill: timedelta | None, **changes: Any) -> EnginePolicy:
    """A quick policy with this horizon."""
    return replace(QUICK, backfill=backfill, **changes)


@pytest.fixture
def aged(world, app):
    """Five hundred jobs, five a day for a hundred days until now."""
    return history(world, app, 500, start=world.clock.now() - 99.9 * DAY, step=DAY / 5)


def since(world: World, jobs: Sequence[SimJob], age: timedelta) -> dict[int, str]:
    """Those that ended within ``age``."""
    start = world.clock.now() - age
    return digests([job for job in jobs if job.finished_at is not None and job.finished_at >= start])


@pytest.mark.parametrize(("backfill", "age", "pages"), [(30 * DAY, 30 * DAY, 3), (None, 1000 * DAY, 5), (DAY, DAY, 2)])
async def test_the_first_pass_goes_back_to_the_horizon(world, app, aged, tmp_path, backfill, age, pages):
    """And no further: not a page more than it takes to see that."""
    async with rig(world, tmp_path, rule(), policy=horizon(backfill)) as daemon:
        await daemon.sync()
    assert daemon.mirrored == since(world, aged, age)
    assert len(asked(world, LIST)) <= pages


async def test_no_backfill(world, app, aged, tmp_path):
    """With ``none`` history is left alone, and what ends from now on is taken."""
    async with rig(world, tmp_path, rule(), policy=horizon(timedelta())) as daemon:
        await daemon.sync()
        assert daemon.mirrored == {}
        assert len(asked(world, LIST)) == 1
        jobs = build(world, app, "build").jobs
        await daemon.sync()
    assert daemon.mirrored == digests(jobs)


async def test_a_longer_horizon_reaches_back_further(world, app, aged, tmp_path):
    """What was left alone at first is mirrored when the configuration asks for it."""
    for backfill in (timedelta(), 10 * DAY, 50 * DAY, None):
        async with rig(world, tmp_path, rule(), policy=horizon(backfill)) as daemon:
            await daemon.sync()
        assert daemon.mirrored == since(world, aged, 1000 * DAY if backfill is None else backfill)


async def test_other_rules_walk_history_again(world, app, aged, tmp_path):
    """A new rule has its own first pass; the same rules have none."""
    none = rule(jobs=["nothing*"])
    async with rig(world, tmp_path, none, policy=horizon(None, rules="a")) as daemon:
        await daemon.sync()
        assert daemon.mirrored == {}
    world.requests.clear()
    async with rig(world, tmp_path, none, policy=horizon(None, rules="a")) as daemon:
        await daemon.sync()
        assert asked(world, LIST) == []
    async with rig(world, tmp_path, none, rule(name="new"), policy=horizon(None, rules="b")) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests(aged)


async def test_other_rules_watch_again(world, app, tmp_path):
    """Unfinished jobs that only the new rule wants are followed from then on."""
    old = build(world, app, "deploy", end=False).jobs[0]
    world.finish_all(build(world, app, *(f"n{number}" for number in range(120)), end=False).jobs)
    async with rig(world, tmp_path, rule(jobs=["nothing*"]), policy=horizon(None, rules="a")) as daemon:
        await daemon.sync()
    async with rig(world, tmp_path, rule(jobs=["deploy"]), policy=horizon(None, rules="b")) as daemon:
        await daemon.sync()
        world.finish(old)
        await daemon.sync()
    assert daemon.mirrored == digests([old])


@pytest.mark.parametrize("stalled", [2, 3, 4, 5])
async def test_an_interrupted_backfill_goes_on(world, app, aged, tmp_path, stalled):
    """Stopped in the middle of a page, it begins with that page and not at the top; nothing is missed."""
    fault = world.faults.add(Fault(action=Stall(seconds=60), path=LIST, nth=stalled, times=None))
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.engine.sync)
            await until(lambda: fault.fired == 1)
            group.cancel_scope.cancel()
        progress = await daemon.state.progress(app.id)
        assert progress is not None
        assert not progress.backfill_done
    world.faults.clear()
    world.requests.clear()
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests(aged)
    # Nothing is new, so only the pages that were left.
    assert len(asked(world, LIST)) == 5 - stalled + 1


async def test_an_interrupted_backfill_still_tells_retried_jobs_apart(world, app, tmp_path):
    """The retry was seen before the stop, the superseded job comes after it."""
    old = build(world, app, "build").jobs[0]
    history(world, app, 120, start=world.clock.now(), step=timedelta())
    new = world.finish(world.retry(old))
    fault = world.faults.add(Fault(action=Stall(seconds=60), path=LIST, nth=2, times=None))
    only = rule(jobs=["build"], refs=["main"])
    async with rig(world, tmp_path, only) as daemon, anyio.create_task_group() as group:
        group.start_soon(daemon.engine.sync)
        await until(lambda: fault.fired == 1)
        group.cancel_scope.cancel()
    world.faults.clear()
    async with rig(world, tmp_path, only) as daemon:
        await daemon.sync()
    assert old.id not in daemon.mirrored
    assert new.id in daemon.mirrored
    assert len(daemon.mirrored) == 13


async def test_a_page_that_fails_is_asked_for_again(world, app, aged, tmp_path):
    """500 in the middle of history: the pass reports it, and the next one goes on there and loses nothing."""
    world.faults.add(Fault(action=Answer(status=500), path=LIST, nth=3, times=None))
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        report = await daemon.sync()
        assert len(report.problems) == 1
        assert not report.complete
        assert 0 < len(daemon.mirrored) < 50
        world.faults.clear()
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(aged)


async def test_a_page_of_new_jobs_that_fails_is_asked_for_again(world, app, tmp_path):
    """500 among many new jobs: the mark does not move past what was not seen."""
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        await daemon.sync()
        jobs = history(world, app, 350, start=world.clock.now(), step=timedelta(seconds=0.001))
        world.faults.add(Fault(action=Answer(status=500), path=LIST, nth=3, times=None))
        await daemon.sync()
        world.faults.clear()
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(jobs)


async def test_jobs_that_appear_during_the_backfill(world, app, aged, tmp_path):
    """They shift no page: nothing of history is missed, and the next pass finds them."""
    fault = world.faults.add(Fault(action=Stall(seconds=0.2), path=LIST, nth=3))
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.engine.sync)
            await until(lambda: fault.fired == 1)
            new = build(world, app, *(f"new{number}" for number in range(150))).jobs
        await daemon.sync()
    assert daemon.mirrored == digests([*aged, *new])


async def test_the_first_page_is_fresh_and_the_rest_is_history(world, app, aged, tmp_path):
    """Today's jobs go before those of the past in the queue."""
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        await daemon.sync()
        fresh = [not (await daemon.transfer(job)).transfer.backfill for job in aged if job.id in daemon.mirrored]
    assert fresh == [False] * 40 + [True] * 10
    assert Priority.POLL < Priority.BACKFILL


async def test_history_and_news_take_turns(world, app, aged, tmp_path):
    """However long a poll takes, a page of history follows it; and however long history is, a poll follows that page."""
    clock = Hasty()
    policy = replace(horizon(None), max_interval=QUICK.interval)
    async with rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await until(lambda: mirrored(tmp_path).keys() == digests(aged).keys())
    looks = [seen.path for seen in asked(world, "/projects/1/(jobs|pipelines)$")]
    # After the first look, with its two listings of pipelines and the page of jobs above history.
    assert [path.rpartition("/")[2] for path in looks[3:10]] == ["jobs", *["pipelines", "jobs"] * 3]


async def test_a_cursor_that_the_server_refuses_starts_over(world, app, aged, tmp_path):
    """After an upgrade of GitLab's, say: history is walked from the top again."""
    world.faults.add(Fault(action=Answer(status=500), path=LIST, nth=2, times=None))
    async with rig(world, tmp_path, rule(), policy=horizon(None)) as daemon:
        project = await daemon.remote.project(app.id)
        await daemon.engine._following._discovery.poll(project)
        with pytest.raises(Transient):
            await daemon.engine._following._discovery.backfill(project)
        progress = await daemon.state.progress(app.id)
        assert progress is not None
        world.faults.clear()
        stale = replace(progress, backfill_next=f"projects/{app.id}/jobs?pagination=keyset&cursor=bm90aGluZw")
        await daemon.state.save_progress(stale, now=daemon.clock.now())
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(aged)


async def test_a_job_is_announced_once(world, app, aged, tmp_path):
    """Though a page is read again, nobody is told twice of the same job."""
    async with rig(world, tmp_path, rule(), policy=horizon(None, rules="a")) as daemon:
        await daemon.sync()
        assert len(daemon.of(Selected)) == 50
    async with rig(world, tmp_path, rule(), policy=horizon(None, rules="b")) as daemon:
        await daemon.sync()
    assert sum(event.jobs for event in daemon.of(Discovered)) == 500
    assert daemon.of(Selected) == []


async def test_a_page_of_which_nothing_is_understood_ends_nothing(world, app, aged, tmp_path):
    """History goes on below it."""
    async with rig(world, tmp_path, rule(), policy=horizon(90 * DAY)) as daemon:
        nothing = "[" + ",".join(["{}"] * 100) + "]"
        project = await daemon.remote.project(app.id)
        await daemon.engine._following._discovery.poll(project)
        progress = await daemon.state.progress(app.id)
        assert progress is not None
        link = f'<{world.url}/api/v4/{progress.backfill_next}>; rel="next"'
        headers = {"Link": link.replace("jobs?", "jobs?again=1&")}
        body = Answer(status=200, body=nothing, content_type="application/json", headers=headers)
        world.faults.add(Fault(action=body, path=LIST))
        report = await daemon.sync()
        assert ["100 entries not understood" in str(problem) for problem in report.problems] == [True]
    assert mirrored(tmp_path).keys() >= since(world, aged[:400], 89 * DAY).keys()


async def test_a_late_job_of_history(world, app, tmp_path):
    """A manual job below the first pages is followed, too."""
    old = world.add_pipeline(app, "main", [JobSpec("deploy", when="manual", archive=small("x"))]).jobs[0]
    history(world, app, 250, start=world.clock.now(), step=timedelta())
    async with rig(world, tmp_path, rule(), policy=horizon(30 * DAY)) as daemon:
        await daemon.sync()
        world.finish(world.play(old))
        await daemon.sync()
    assert old.id in daemon.mirrored

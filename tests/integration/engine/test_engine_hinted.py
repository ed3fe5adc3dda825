"""What the daemon does when somebody says that something happened: it looks sooner, at no more than it may."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from artifact_sync.core.events import Selected
from artifact_sync.core.hints import Hint, Receipt
from artifact_sync.simulator import JobSpec, SimJob, small
from artifact_sync.simulator.faults import Answer, Fault, Stall
from tests.integration.engine.engine_harness import QUICK, asked, build, digests, rig, rule, running, until

HOUR = timedelta(hours=1)
#: Nothing but hints makes it look for a long time.
RARELY = replace(QUICK, interval=HOUR, max_interval=HOUR, longest_look=HOUR, resolve_every=HOUR)


def about(job: SimJob) -> Hint:
    """The hint of a job's end."""
    return Hint(project_id=job.project.id, pipeline_id=job.pipeline.id, job_id=job.id)


@asynccontextmanager
async def idle(world, path, *rules, policy=RARELY):
    """A daemon that has looked at everything there is, and rests."""
    async with rig(world, path, *(rules or (rule(),)), policy=policy) as daemon, running(daemon):
        await until(lambda: bool(asked(world, r"/projects/1/jobs$")))
        await anyio.sleep(0.1)
        yield daemon


async def test_a_hint_brings_a_job_at_once(world, app, tmp_path):
    """Though the next poll is an hour away: one list of one pipeline's jobs, and the download."""
    build(world, app, "old")
    async with idle(world, tmp_path) as daemon:
        await daemon.reach(lambda: len(daemon.mirrored) == 1)
        before = len(world.requests)
        (job,) = build(world, app, "build").jobs
        assert daemon.engine.hint(about(job)) is Receipt.ACCEPTED
        await daemon.reach(lambda: job.id in daemon.mirrored)
        assert daemon.mirrored[job.id] == digests([job])[job.id]
        paths = [seen.path for seen in world.requests[before:]]
        assert paths == [
            f"/api/v4/projects/{app.id}/pipelines/{job.pipeline.id}/jobs",
            f"/api/v4/projects/{app.id}/jobs/{job.id}/artifacts",
        ]
        assert [event.late for event in daemon.of(Selected) if event.job_id == job.id] == [False]


async def test_a_pipelines_hint_brings_all_its_jobs(world, app, tmp_path):
    """Where job events are not enabled."""
    async with idle(world, tmp_path) as daemon:
        made = build(world, app, "a", "b", "c")
        daemon.engine.hint(Hint(project_id=app.id, pipeline_id=made.id))
        await daemon.reach(lambda: len(daemon.mirrored) == 3)


async def test_a_job_that_ends_while_others_run_is_brought_at_once(world, app, tmp_path):
    """It leaves no mark on its pipeline, so that a poll would not see it; the others come with their own hints."""
    async with idle(world, tmp_path) as daemon:
        first, second = build(world, app, "a", "b", end=False).jobs
        for job in (first, second):
            world.start(job)
        for count, job in enumerate((first, second), 1):
            world.finish(job)
            daemon.engine.hint(about(job))
            await daemon.reach(lambda count=count: len(daemon.mirrored) == count)


async def test_an_end_that_a_replica_does_not_show_yet_is_found_a_moment_later(world, app, tmp_path):
    """GitLab reads lists from a copy of its database that may lag."""
    world.replica_lag = timedelta(seconds=1)
    async with idle(world, tmp_path) as daemon:
        (job,) = build(world, app, "build", end=False).jobs
        world.start(job)
        await anyio.sleep(1.2)
        world.finish(job)
        daemon.engine.hint(about(job))
        await daemon.reach(lambda: job.id in daemon.mirrored)


async def test_a_hint_about_what_is_not_followed_asks_nothing(world, app, tmp_path):
    """Another project, which the token would see, or none."""
    other = world.add_project("acme/other")
    (job,) = build(world, other, "build").jobs
    async with rig(world, tmp_path, rule(), policy=RARELY) as daemon, running(daemon):
        await until(lambda: bool(asked(world, rf"/projects/{app.id}/jobs$")))
        await anyio.sleep(0.1)
        before = len(world.requests)
        assert daemon.engine.hint(about(job)) is Receipt.IGNORED
        assert daemon.engine.hint(Hint(project_id=999, pipeline_id=1)) is Receipt.IGNORED
        await anyio.sleep(0.5)
        assert len(world.requests) == before


async def test_hints_that_lie_do_no_harm(world, app, tmp_path):
    """Pipelines that are not there, another project's, jobs of others: nothing is forgotten, and polls go on."""
    other = world.add_project("acme/other")
    (elsewhere,) = build(world, other, "build").jobs
    async with idle(world, tmp_path) as daemon:
        (job,) = build(world, app, "build", end=False).jobs
        world.start(job)
        daemon.engine.hint(about(job))
        await until(lambda: bool(asked(world, rf"/pipelines/{job.pipeline.id}/jobs$")))
        await anyio.sleep(0.1)
        watched = await daemon.state.watched(app.id)
        assert job.pipeline.id in watched
        for pipeline in (99_999, elsewhere.pipeline.id, 2**63 - 1):
            daemon.engine.hint(Hint(project_id=app.id, pipeline_id=pipeline, job_id=elsewhere.id))
        await until(lambda: len(asked(world, r"/pipelines/\d{5,}/jobs$")) >= 2)
        await anyio.sleep(0.5)
        assert await daemon.state.watched(app.id) == watched
        assert daemon.mirrored == {}


async def test_an_empty_list_does_not_end_a_watch(world, app, tmp_path):
    """That is GitLab's answer to who may not read the jobs as well (app/finders/ci/jobs_finder.rb)."""
    async with idle(world, tmp_path) as daemon:
        (job,) = build(world, app, "build", end=False).jobs
        world.start(job)
        daemon.engine.hint(about(job))
        await until(lambda: bool(asked(world, rf"/pipelines/{job.pipeline.id}/jobs$")))
        await anyio.sleep(0.1)
        empty = Answer(status=200, body="[]", content_type="application/json")
        world.faults.add(Fault(path=rf"/pipelines/{job.pipeline.id}/jobs$", times=None, action=empty))
        asked_before = len(asked(world, rf"/pipelines/{job.pipeline.id}/jobs$"))
        await until(lambda: len(asked(world, rf"/pipelines/{job.pipeline.id}/jobs$")) > asked_before)
        await anyio.sleep(0.2)
        assert job.pipeline.id in await daemon.state.watched(app.id)


async def test_a_look_that_fails_is_repeated_and_stops_nothing(world, app, tmp_path):
    """GitLab has a bad moment."""
    async with idle(world, tmp_path) as daemon:
        (job,) = build(world, app, "build").jobs
        world.faults.add(Fault(path=rf"/pipelines/{job.pipeline.id}/jobs$", times=1, action=Answer(status=502)))
        daemon.engine.hint(about(job))
        await daemon.reach(lambda: job.id in daemon.mirrored)


async def test_hints_of_one_pipeline_cost_a_request_or_two(world, app, tmp_path):
    """A thousand webhooks of its jobs and itself."""
    async with idle(world, tmp_path) as daemon:
        made = build(world, app, *(f"job {number}" for number in range(20)))
        for _ in range(50):
            for job in made.jobs:
                daemon.engine.hint(about(job))
        await daemon.reach(lambda: len(daemon.mirrored) == 20)
        assert len(asked(world, rf"/pipelines/{made.id}/jobs$")) <= 2


async def test_a_flood_of_hints_is_bounded_and_real_ones_among_them_come_through(world, app, tmp_path):
    """Two thousand pipelines that are not there: what is asked stays within the share, and a job is brought."""
    policy = replace(RARELY, hinted=120.0)
    async with idle(world, tmp_path, policy=policy) as daemon:
        before = len(world.requests)
        (job,) = build(world, app, "build").jobs
        daemon.engine.hint(about(job))
        receipts = [daemon.engine.hint(Hint(project_id=app.id, pipeline_id=number)) for number in range(5000, 7000)]
        assert receipts.count(Receipt.ACCEPTED) == 499
        assert receipts.count(Receipt.OVERFLOW) == 1501
        await daemon.reach(lambda: job.id in daemon.mirrored)
        await anyio.sleep(2)
        # One poll tells that there is nothing about all the others.
        assert len(world.requests) - before < 10
        assert asked(world, r"/pipelines/[56]\d{3}/jobs$") == []


async def test_what_ends_in_running_pipelines_is_found_in_a_flood(world, app, tmp_path):
    """It leaves no mark on its pipeline that the poll of a crowded project would see."""
    async with idle(world, tmp_path) as daemon:
        pipelines = [build(world, app, "a", "b", end=False) for _ in range(6)]
        for pipeline in pipelines:
            for job in pipeline.jobs:
                world.start(job)
            daemon.engine.hint(Hint(project_id=app.id, pipeline_id=pipeline.id))
        listed = len(asked(world, rf"/projects/{app.id}/pipelines$"))
        for number in range(5000, 5100):
            daemon.engine.hint(Hint(project_id=app.id, pipeline_id=number))
        await until(lambda: len(asked(world, rf"/projects/{app.id}/pipelines$")) > listed)
        with anyio.fail_after(20):
            while not {pipeline.id for pipeline in pipelines} <= await daemon.state.watched(app.id):  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await anyio.sleep(0.5)
        ended = [world.finish(pipeline.jobs[0]) for pipeline in pipelines]
        for job in ended:
            daemon.engine.hint(about(job))
        for number in range(5000, 5100):
            daemon.engine.hint(Hint(project_id=app.id, pipeline_id=number))
        await daemon.reach(lambda: daemon.mirrored.keys() >= {job.id for job in ended})
        assert asked(world, r"/pipelines/5\d{3}/jobs$") == []


async def test_hints_are_served_while_history_is_read(world, app, tmp_path):
    """Pages of history come one after another for a long time; what ends meanwhile does not wait for them."""
    for number in range(450):
        build(world, app, f"old {number}")
    slow = Stall(seconds=0.7)
    world.faults.add(Fault(path=rf"/projects/{app.id}/jobs$", times=None, action=slow))
    async with rig(world, tmp_path, rule(jobs=["new"]), policy=RARELY) as daemon, running(daemon):
        await until(lambda: len(asked(world, rf"/projects/{app.id}/jobs$")) == 2)
        (job,) = build(world, app, "new").jobs
        assert daemon.engine.hint(about(job)) is Receipt.ACCEPTED
        await daemon.reach(lambda: job.id in daemon.mirrored)
        assert len(asked(world, rf"/projects/{app.id}/jobs$")) < 5


@pytest.mark.parametrize("status", ["failed", "canceled"])
async def test_the_rules_decide_and_not_the_hint(world, app, tmp_path, status):
    """What no rule selects is not brought, whatever the webhook says."""
    async with idle(world, tmp_path) as daemon:
        spec = JobSpec("build", archive=small("x"), upload="always")
        job = world.finish(world.add_pipeline(app, "main", [spec]).jobs[0], status)
        daemon.engine.hint(about(job))
        await until(lambda: bool(asked(world, rf"/pipelines/{job.pipeline.id}/jobs$")))
        await anyio.sleep(0.3)
        assert daemon.mirrored == {}

"""Jobs that finish late, out of the order of their ids, are found by the next pass and by the daemon."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from artifact_sync.core.events import Selected
from artifact_sync.engine import EnginePolicy
from artifact_sync.errors import Denied, NotFound
from artifact_sync.simulator import JobSpec, SimJob, SimProject, World, small
from artifact_sync.simulator.faults import Answer, Fault
from tests.integration.engine.engine_harness import (
    DAY,
    QUICK,
    Hasty,
    asked,
    build,
    digests,
    downloads,
    mirrored,
    rig,
    rule,
    running,
    until,
)

#: As configured by default: nothing is due again within the seconds that a test takes.
SLOW = EnginePolicy(backfill=None, attempts=2)


#: What a look at one pipeline asks for.
JOBS = "/pipelines/[0-9]+/jobs$"


def manual(world: World, project: SimProject, **spec: Any) -> SimJob:
    """A pipeline with a job to be played, and two hundred newer jobs."""
    old = world.add_pipeline(project, "main", [JobSpec("deploy", when="manual", archive=small("late"), **spec)])
    for _ in range(20):
        world.finish_all(world.add_pipeline(project, "main", [JobSpec(f"n{n}") for n in range(10)]).jobs)
    return old.jobs[0]


def ended(world: World, job: SimJob) -> SimJob:
    """Somebody plays it, and it ends."""
    world.play(job)
    return world.finish(job)


async def test_the_next_pass_catches_a_manual_job(world, app, tmp_path):
    """However soon it comes, and though the id lies far below the newest."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        assert daemon.mirrored == {}
        ended(world, job)
        await daemon.sync()
    assert daemon.mirrored == digests([job])


async def test_a_pass_catches_it_after_many_that_saw_nothing(world, app, tmp_path):
    """A look that waits longer and longer is the daemon's way; a pass is complete."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        for _ in range(4):
            await daemon.sync()
        ended(world, job)
        await daemon.sync()
    assert daemon.mirrored == digests([job])


async def test_a_pass_in_a_new_process_catches_it(world, app, tmp_path):
    """What is to be looked at again survives the restart."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    ended(world, job)
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        assert [event.late for event in daemon.of(Selected)] == [True]
    assert daemon.mirrored == digests([job])


async def test_the_daemon_catches_it(world, app, tmp_path):
    """While it runs."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule()) as daemon, running(daemon):
        await until(lambda: len(asked(world, "/pipelines/[0-9]+/jobs$")) >= 2)
        ended(world, job)
        await until(lambda: daemon.mirrored == digests([job]))


async def test_an_unfinished_job_is_not_taken(world, app, tmp_path):
    """Nothing is asked of it until it has ended, whatever statuses are wanted."""
    pipeline = build(world, app, "build", end=False)
    world.start(pipeline.jobs[0])
    async with rig(world, tmp_path, rule(statuses=frozenset({"success", "failed"}))) as daemon:
        await daemon.sync()
        assert daemon.of(Selected) == []
        assert downloads(world) == []
        world.finish(pipeline.jobs[0])
        await daemon.sync()
    assert daemon.mirrored == digests(pipeline.jobs)


async def test_jobs_that_end_out_of_order(world, app, tmp_path):
    """Each is taken when it ends, and none twice."""
    jobs = build(world, app, "a", "b", "c", "d", end=False).jobs
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        for index in (3, 0, 2, 1):
            world.finish(jobs[index])
            await daemon.sync()
            assert jobs[index].id in daemon.mirrored
    assert daemon.mirrored == digests(jobs)
    assert len(downloads(world)) == 4


async def test_a_pipeline_without_hope_is_not_looked_at(world, app, tmp_path):
    """No job that is still to end could be taken: looking again would be needless."""
    build(world, app, "lint", end=False)
    async with rig(world, tmp_path, rule(jobs=["package*"])) as daemon:
        await daemon.sync()
        await daemon.sync()
    assert asked(world, "/pipelines/") == []


async def test_a_pipeline_is_looked_at_until_its_last_job_ended(world, app, tmp_path):
    """Then never again."""
    jobs = build(world, app, "a", "b", end=False).jobs
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        world.finish_all(jobs)
        await daemon.sync()
        looks = len(asked(world, "/pipelines/"))
        await daemon.sync()
        assert (await daemon.state.summary()).watched_pipelines == 0
    assert looks == len(asked(world, "/pipelines/")) > 0
    assert daemon.mirrored == digests(jobs)


async def test_a_retry_of_an_old_job_is_taken(world, app, tmp_path):
    """It has a new id, in a pipeline that had ended."""
    old = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        new = world.retry(old)
        await daemon.sync()
        world.finish(new)
        await daemon.sync()
    assert daemon.mirrored == digests([old, new])


async def test_a_late_job_that_was_retried_at_once(world, app, tmp_path):
    """With ``retried: true`` both are taken, though the first was superseded before anybody looked again."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(retried=True), policy=SLOW) as daemon:
        await daemon.sync()
        again = world.retry(ended(world, job))
        world.finish(again)
        await daemon.sync()
    assert daemon.mirrored == digests([job, again])


async def test_a_late_job_that_was_retried_at_once_is_left_out(world, app, tmp_path):
    """By default only the retry is taken."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        again = world.retry(ended(world, job))
        world.finish(again)
        await daemon.sync()
    assert daemon.mirrored == digests([again])


async def test_settle(world, app, tmp_path):
    """A job that ended a moment ago is left to a later look, and found by it."""
    job = build(world, app, "build", at=world.clock.now()).jobs[0]
    policy = replace(QUICK, settle=timedelta(minutes=5))
    async with rig(world, tmp_path, rule(), policy=policy) as daemon:
        await daemon.sync()
        assert daemon.mirrored == {}
        world.clock.advance(timedelta(minutes=6))
    async with rig(world, tmp_path, rule(), policy=policy) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([job])


async def test_a_deleted_pipeline_is_let_go(world, app, tmp_path):
    """404 for it, from a project that is there, ends the looking; the project is no failure."""
    build(world, app, "build", end=False)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        assert (await daemon.state.summary()).watched_pipelines == 1
        world.faults.add(Fault(action=Answer(status=404), path="/pipelines/"))
        assert (await daemon.sync()).complete
        assert (await daemon.state.summary()).watched_pipelines == 0


async def test_a_project_out_of_sight_keeps_its_looks(world, app, tmp_path):
    """404 for a pipeline and for its project tells nothing of the pipeline: it is looked at again later."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        world.faults.add(Fault(action=Answer(status=404), path="/pipelines/"))
        world.faults.add(Fault(action=Answer(status=404), path="/projects/1$"))
        with pytest.raises(NotFound):
            await daemon.sync()
        world.faults.clear()
        ended(world, job)
        await daemon.sync()
    assert daemon.mirrored == digests([job])


async def test_an_empty_list_tells_nothing(world, app, tmp_path):
    """It is GitLab's answer to who may not read a pipeline's jobs: the pipeline is looked at again later."""
    job = manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        world.faults.add(
            Fault(action=Answer(status=200, body="[]", content_type="application/json"), path="/pipelines/")
        )
        await daemon.sync()
        ended(world, job)
        await daemon.sync()
    assert daemon.mirrored == digests([job])


@pytest.mark.parametrize("status", [403, 500])
async def test_one_pipeline_that_fails_hides_no_other(world, app, tmp_path, status):
    """The later ones are looked at all the same, and the failure is reported."""
    broken, good = manual(world, app), manual(world, app)
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        ended(world, broken)
        ended(world, good)
        world.faults.add(Fault(action=Answer(status=status), path=f"/pipelines/{broken.pipeline.id}/jobs", times=None))
        report = await daemon.sync()
        assert daemon.mirrored == digests([good])
        assert len(report.problems) == 1
        world.faults.clear()
        await daemon.sync()
    assert daemon.mirrored == digests([broken, good])


async def test_many_pipelines_that_fail_hide_no_other_for_long(world, app, tmp_path):
    """A pass asks for three of them, and they go behind the others: those come in the next one."""
    jobs = [world.add_pipeline(app, "main", [JobSpec("x", archive=small(n))]).jobs[0] for n in range(5)]
    async with rig(world, tmp_path, rule(), policy=SLOW) as daemon:
        await daemon.sync()
        world.finish_all(jobs)
        for broken in jobs[:4]:
            world.faults.add(Fault(action=Answer(status=403), path=f"/pipelines/{broken.pipeline.id}/jobs", times=None))
        assert len((await daemon.sync()).problems) == 1
        # Of those that moved, newest first, three failed behind the one that did not; the fifth is left to the next pass.
        assert (len(asked(world, "/pipelines/")), daemon.mirrored) == (4, digests([jobs[4]]))
        world.faults.clear()
        for broken in jobs[1:4]:
            world.faults.add(Fault(action=Answer(status=403), path=f"/pipelines/{broken.pipeline.id}/jobs", times=None))
        # Should the three come first again, they go behind the one that was left out.
        for _ in range(2):
            with suppress(Denied):
                await daemon.sync()
    assert daemon.mirrored == digests([jobs[0], jobs[4]])


async def test_finished_while_the_daemon_was_down(world, app, tmp_path):
    """What started and ended in between, and what only ended."""
    job = manual(world, app, expire_in=DAY)
    async with rig(world, tmp_path, rule()) as daemon, running(daemon):
        await until(lambda: bool(asked(world, "/projects/1/jobs$")))
        await until(lambda: bool(asked(world, "/pipelines/[0-9]+/jobs$")))
    ended(world, job)
    others = [build(world, app, "x", "y").jobs for _ in range(80)]
    async with rig(world, tmp_path, rule()) as daemon, running(daemon):
        wanted = digests([job, *(each for jobs in others for each in jobs)])
        await until(lambda: mirrored(tmp_path).keys() == wanted.keys())
        assert mirrored(tmp_path) == wanted


async def test_many_quiet_pipelines_do_not_hold_up_what_moves(world, app, tmp_path):
    """A poll looks at all that moved, and at the others for one interval; none of these waits for ever."""
    pipelines = [world.add_pipeline(app, "main", [JobSpec("build"), JobSpec("test")]) for _ in range(8)]
    async with rig(
        world, tmp_path, rule(), policy=replace(QUICK, longest_look=QUICK.interval), clock=Hasty()
    ) as daemon:
        project, discovery = await daemon.remote.project(app.id), daemon.engine._following._discovery

        async def looked_at(*, thorough: bool = False) -> set[int]:
            begun = len(asked(world, JOBS))
            await discovery.poll(project, thorough=thorough)
            return {int(seen.path.split("/")[-2]) for seen in asked(world, JOBS)[begun:]}

        for _ in range(3):
            assert await looked_at(thorough=True) == {pipeline.id for pipeline in pipelines}
        moved = [world.finish(pipeline.jobs[0]).pipeline.id for pipeline in pipelines[:3]]
        first = await looked_at()
        assert set(moved) <= first
        assert len(first) < len(pipelines)
        quiet = {pipeline.id for pipeline in pipelines} - set(moved)
        for _ in range(len(pipelines)):
            quiet -= await looked_at()
        assert not quiet

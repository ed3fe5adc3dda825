"""The daemon: what it follows, what it asks while nothing happens, and how it bears trouble."""

from dataclasses import replace
from datetime import timedelta

from artifact_sync.core.events import ProjectFailed
from artifact_sync.ports import TransferState
from artifact_sync.simulator import JobSpec, SimClock, World, serve, small
from artifact_sync.simulator.faults import Answer, Fault
from tests.integration.engine.engine_harness import (
    QUICK,
    DrivenClock,
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

MINUTE = timedelta(minutes=1)
LIST = "/projects/1/jobs$"


async def quiet(clock: DrivenClock, sleepers: int = 8) -> None:
    """Wait until all of a daemon with one project sleep: who finds it, follows it, revives, audits, keeps, prunes, counts, and times retries."""
    await until(lambda: clock.asleep == sleepers)


async def test_it_mirrors_what_comes(world, app, tmp_path):
    """Pipeline after pipeline, and each download once."""
    async with rig(world, tmp_path, rule()) as daemon, running(daemon):
        jobs = []
        for _ in range(3):
            jobs += build(world, app, "a", "b").jobs
            await until(lambda: mirrored(tmp_path).keys() == digests(jobs).keys())  # noqa: B023 -- awaited here
    assert daemon.mirrored == digests(jobs)
    assert len(downloads(world)) == 6


async def test_a_new_project_of_a_group_is_followed(world, app, tmp_path):
    """Without a restart."""
    async with rig(world, tmp_path, rule("acme/**")) as daemon, running(daemon):
        await until(lambda: bool(asked(world, LIST)))
        jobs = build(world, world.add_project("acme/deep/new"), "build").jobs
        await until(lambda: mirrored(tmp_path).keys() == digests(jobs).keys())
    assert daemon.mirrored == digests(jobs)


async def test_a_renamed_project_is_followed_under_its_new_path(world, app, tmp_path):
    """New publications use the new path, without a restart."""
    async with rig(world, tmp_path, rule("acme/**")) as daemon, running(daemon):
        await until(lambda: bool(asked(world, LIST)))
        world.move(app, "acme/renamed")
        world.requests.clear()
        await until(lambda: len(asked(world, "/groups/acme/projects$")) >= 2)
        job = build(world, app, "build").jobs[0]
        await until(lambda: job.id in mirrored(tmp_path))
        assert (await daemon.transfer(job)).transfer.dest.startswith("acme/renamed/")


async def test_an_invisible_project_is_followed_when_it_is_back(world, app, tmp_path):
    """Its failures are told, the other project goes on, and what it had then is mirrored."""
    other = world.add_project("acme/other")
    async with rig(world, tmp_path, rule("acme/app", "acme/other")) as daemon, running(daemon):
        await until(lambda: bool(asked(world, LIST)))
        app.visible = False
        await until(lambda: any(event.project == "acme/app" for event in daemon.of(ProjectFailed)))
        there, hidden = build(world, other, "x").jobs, build(world, app, "x").jobs
        await until(lambda: mirrored(tmp_path).keys() == digests(there).keys())
        app.visible = True
        await until(lambda: mirrored(tmp_path).keys() == digests([*there, *hidden]).keys())
    assert daemon.mirrored == digests([*there, *hidden])


async def test_it_starts_while_gitlab_is_down(world, app, tmp_path):
    """And goes on when it is there."""
    jobs = build(world, app, "a").jobs
    world.faults.add(Fault(action=Answer(status=502), times=None))
    async with rig(world, tmp_path, rule("acme/**")) as daemon, running(daemon):
        await until(lambda: len(daemon.of(ProjectFailed)) >= 2)
        world.faults.clear()
        await until(lambda: mirrored(tmp_path).keys() == digests(jobs).keys())


async def test_what_failed_in_every_attempt_is_tried_again(world, app, tmp_path):
    """By the daemon itself, now and then."""
    job = build(world, app, "build").jobs[0]
    fault = world.faults.add(Fault(action=Answer(status=503), path="/artifacts$", times=QUICK.attempts))
    policy = replace(QUICK, revive_every=timedelta(seconds=0.3))
    async with rig(world, tmp_path, rule(), policy=policy) as daemon, running(daemon):
        await until(lambda: job.id in mirrored(tmp_path))
        assert fault.fired == QUICK.attempts


async def test_a_project_that_was_idle_for_long(tmp_path):
    """Polled as rarely as child pipelines are asked for, it is asked for both in turn, and what is new is mirrored."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    build(world, app, "build", parent=build(world, app, "build"))
    policy = replace(QUICK, interval=MINUTE, max_interval=MINUTE, resolve_every=timedelta(days=1), audit=None)
    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock, 7)
        for _ in range(6):
            clock.advance(MINUTE + timedelta(seconds=1))
            await quiet(clock, 7)
        sources = [seen.query.get("source") for seen in asked(world, "/pipelines$")][-4:]
        assert sorted(map(str, sources)) == ["None", "None", "parent_pipeline", "parent_pipeline"]
        jobs = build(world, app, "build").jobs
        for _ in range(2):
            clock.advance(MINUTE + timedelta(seconds=1))
            await quiet(clock, 7)
        await until(lambda: mirrored(tmp_path).keys() >= digests(jobs).keys())


async def test_a_project_without_child_pipelines_is_seldom_asked_for_them(tmp_path):
    """Twice a day, until the first one comes with its parent: then they are asked for in turn."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    parent = build(world, app, "build")
    policy = replace(QUICK, interval=MINUTE, resolve_every=timedelta(days=9), audit=None)

    async def sources(polls: int) -> int:
        before = world.requests.total
        for _ in range(polls):
            clock.advance(timedelta(minutes=31))
            await quiet(clock, 7)
        listings = [seen for seen in world.requests[before:] if seen.path.endswith("/pipelines")]
        return sum("source" in seen.query for seen in listings)

    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock, 7)
        assert await sources(48) == 2
        child = build(world, app, "build", parent=parent)
        assert await sources(48) >= 20
        assert mirrored(tmp_path).keys() == digests([*parent.jobs[:1], *child.jobs]).keys()


async def test_an_idle_project_costs_one_request_a_poll(tmp_path):
    """And none between two polls."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    build(world, world.add_project("acme/app"), "build")
    policy = replace(QUICK, interval=MINUTE, resolve_every=timedelta(days=1), audit=None)
    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock, 7)
        clock.advance(MINUTE)
        await until(lambda: len(mirrored(tmp_path)) == 1)
        await quiet(clock, 7)
        for _ in range(5):
            before = world.requests.total
            # The wait grows by half while nothing happens.
            clock.advance(32 * MINUTE)
            await quiet(clock, 7)
            assert [seen.path for seen in world.requests[before:]] == ["/api/v4/projects/1/pipelines"]


async def test_an_idle_project_is_asked_seldom_from_the_start(tmp_path):
    """After a third of the time for which nothing has moved in it, which is known at once, and not by asking again."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    build(world, world.add_project("acme/app"), "build", at=world.clock.now() - timedelta(hours=1))
    week = timedelta(days=7)
    policy = replace(QUICK, interval=MINUTE, resolve_every=timedelta(days=1), audit=None, backfill=week)
    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock, 7)
        clock.advance(MINUTE)
        await until(lambda: len(mirrored(tmp_path)) == 1)
        await quiet(clock, 7)
        before = world.requests.total
        for _ in range(60):
            clock.advance(MINUTE)
            await quiet(clock, 7)
        assert 1 <= len(world.requests[before:]) <= 3


async def test_a_project_that_fails_is_asked_less_and_less(tmp_path):
    """Not without a pause either where a look at one of its pipelines is due."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    world.add_pipeline(app, "main", [JobSpec("deploy", when="manual", archive=small(1))])
    policy = replace(QUICK, interval=MINUTE, longest_look=MINUTE, resolve_every=timedelta(days=1))
    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock)
        clock.advance(MINUTE)
        await until(lambda: bool(asked(world, LIST)))
        await quiet(clock)
        world.faults.add(Fault(action=Answer(status=404), path="/projects/1", times=None))
        before = world.requests.total
        for _ in range(64):
            clock.advance(MINUTE)
            await quiet(clock)
        # One, and each wait twice as long as the one before, up to half an hour.
        assert 3 <= world.requests.total - before <= 8
        assert await daemon.in_state(TransferState.WANTED) == 0


async def test_a_pipeline_in_which_nothing_happens_is_looked_at_less_and_less(tmp_path):
    """Down to once in the longest wait."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    world.add_pipeline(app, "main", [JobSpec("deploy", archive=small(1))])
    policy = replace(QUICK, interval=MINUTE, longest_look=30 * MINUTE, resolve_every=timedelta(days=1))
    async with serve(world), rig(world, tmp_path, rule(), policy=policy, clock=clock) as daemon, running(daemon):
        await quiet(clock)
        for _ in range(64):
            clock.advance(MINUTE)
            await quiet(clock)
        looks = len(asked(world, "/pipelines/"))
    assert 4 <= looks <= 8

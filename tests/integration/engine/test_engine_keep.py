"""Keeps: called before the expiry for what is not mirrored, believed only when the job shows it, and written down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.core.events import Kept
from artifact_sync.core.model import KeepResult
from artifact_sync.core.rules import Keep, KeepPolicy
from artifact_sync.ports import KeepEntry, TransferState
from artifact_sync.simulator import TOKEN, RequestSeen, SimClock, SimToken, World, serve
from artifact_sync.simulator.faults import Answer, Fault, Stall
from tests.integration.engine.engine_harness import (
    DAY,
    QUICK,
    DrivenClock,
    Rig,
    asked,
    build,
    digests,
    rig,
    rule,
    running,
    until,
)

HOUR = timedelta(hours=1)
BEFORE = Keep(policy=KeepPolicy.BEFORE_EXPIRY, lead=2 * HOUR)
ALWAYS = Keep(policy=KeepPolicy.ALWAYS, lead=2 * HOUR)
CALL = "/artifacts/keep$"
#: Nothing can be downloaded, for as long as it is in the script.
NO_DOWNLOAD = "/jobs/[0-9]+/artifacts$"


@pytest.fixture
async def world():
    """Its clock, which is the daemon's too, moves only when told. Without the lock on the latest artifacts."""
    made = World(clock=SimClock.manual(datetime(2026, 3, 1, 12, tzinfo=UTC)))
    async with serve(made):
        yield made


@pytest.fixture
def app(world):
    """The project acme/app."""
    made = world.add_project("acme/app")
    made.keep_latest = False
    return made


@pytest.fixture
def clock(world):
    """The world's."""
    return DrivenClock(world.clock)


def unavailable(world: World) -> Fault:
    """A GitLab whose archives cannot be read for a while."""
    return world.faults.add(Fault(action=Answer(status=503), path=NO_DOWNLOAD, times=None))


def calls(world: World) -> list[RequestSeen]:
    """Keeps that GitLab was asked for."""
    return asked(world, CALL, "POST")


async def ledger(daemon: Rig) -> list[KeepEntry]:
    """Newest first."""
    return [entry async for entry in daemon.state.keeps()]


async def test_what_cannot_be_downloaded_is_kept(world, app, clock, tmp_path):
    """Not before its time has come, and then before the expiry: the artifacts stay and are mirrored later."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    fault = unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        await daemon.sync()
        assert calls(world) == []
        clock.advance(DAY - 3 * HOUR)
        await daemon.sync()
        assert calls(world) == []
        clock.advance(HOUR)
        await daemon.sync()
        assert (len(calls(world)), job.expire_at) == (1, None)
        clock.advance(10 * DAY)
        world.sweep()
        world.faults.remove(fault)
        await daemon.sync()
    assert daemon.mirrored == digests([job])


async def test_the_ledger_tells_all(world, app, clock, tmp_path):
    """Who was kept, by which rule, why, when, and until when it would have lived; the event says the same."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    expire_at = job.expire_at
    unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        (entry,) = await ledger(daemon)
        assert (entry.project_id, entry.project_path, entry.job_id, entry.job_name, entry.rule) == (
            app.id,
            "acme/app",
            job.id,
            "build",
            "r",
        )
        assert (entry.result, entry.at, entry.expire_at) == (KeepResult.KEPT, clock.now(), expire_at)
        assert "not mirrored" in entry.reason
        assert (await daemon.transfer(job)).transfer.deadline is None
    (event,) = daemon.of(Kept)
    assert (event.project, event.job_id, event.rule, event.result) == ("acme/app", job.id, "r", KeepResult.KEPT)


async def test_what_is_mirrored_is_not_kept(world, app, clock, tmp_path):
    """With before_expiry a keep of what lies here already would be a needless write."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock) as daemon:
        await daemon.sync()
        assert daemon.mirrored == digests([job])
        clock.advance(DAY - HOUR)
        await daemon.sync()
        assert await ledger(daemon) == []
        assert (await daemon.state.summary()).keeps_due == 0
    assert calls(world) == []


async def test_policy_always(world, app, clock, tmp_path):
    """It is kept though it is mirrored, once."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    async with rig(world, tmp_path, rule(keep=ALWAYS), clock=clock) as daemon:
        await daemon.sync()
        assert daemon.mirrored == digests([job])
        clock.advance(DAY - HOUR)
        await daemon.sync()
        await daemon.sync()
        (entry,) = await ledger(daemon)
    assert (entry.result, entry.reason) == (KeepResult.KEPT, "the rule always keeps")
    assert (len(calls(world)), job.expire_at) == (1, None)


async def test_policy_never(world, app, clock, tmp_path):
    """Nothing is asked of GitLab."""
    build(world, app, "build", expire_in=DAY)
    unavailable(world)
    async with rig(world, tmp_path, rule(), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
    assert calls(world) == []


async def test_what_does_not_expire_is_not_kept(world, app, clock, tmp_path):
    """Also with policy always."""
    build(world, app, "build")
    async with rig(world, tmp_path, rule(keep=ALWAYS), clock=clock) as daemon:
        clock.advance(DAY)
        await daemon.sync()
    assert calls(world) == []


async def test_a_keep_is_believed_only_when_the_job_shows_it(world, app, clock, tmp_path):
    """A 200 that changed nothing is unconfirmed, and the call is made again before the expiry."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        answer = f'{{"id": {job.id}, "name": "build", "status": "success", "artifacts_expire_at": null}}'
        world.faults.add(Fault(action=Answer(status=200, body=answer, content_type="application/json"), path=CALL))
        await daemon.sync()
        (entry,) = await ledger(daemon)
        assert entry.result is KeepResult.UNCONFIRMED
        again = await daemon.state.next_keep()
        assert again is not None
        assert job.expire_at is not None
        assert again < job.expire_at
        clock.advance(again - clock.now())
        await daemon.sync()
        assert [each.result for each in await ledger(daemon)] == [KeepResult.KEPT, KeepResult.UNCONFIRMED]
    assert job.expire_at is None


async def test_too_late_is_told_and_not_tried_again(world, app, clock, tmp_path):
    """404 after the expiry: only the download can save it, and does while the file is there."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    fault = unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY + timedelta(minutes=1))
        await daemon.sync()
        await daemon.sync()
        (entry,) = await ledger(daemon)
        assert entry.result is KeepResult.EXPIRED
        assert "404" in entry.detail
        world.faults.remove(fault)
        await daemon.sync()
    assert len(calls(world)) == 1
    assert daemon.mirrored == digests([job])


async def test_what_was_erased_is_not_kept_again_and_again(world, app, clock, tmp_path):
    """404 with time left: there is nothing to keep any more, and one call is enough."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        await daemon.sync()
        world.erase(job)
        for _ in range(3):
            clock.advance(DAY - HOUR if not calls(world) else HOUR / 6)
            await daemon.sync()
        assert [entry.result for entry in await ledger(daemon)] == [KeepResult.EXPIRED]
    assert len(calls(world)) == 1


async def test_a_keep_denied_is_tried_again_before_the_expiry(world, app, clock, tmp_path):
    """Maintenance ends: the 403 is probed by a read, told, and no reason to give up."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    expire_at = job.expire_at
    assert expire_at is not None
    unavailable(world)
    world.maintenance = True
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        (entry,) = await ledger(daemon)
        assert entry.result is KeepResult.DENIED
        assert "can be read" in entry.detail
        assert len(asked(world, f"/jobs/{job.id}$")) == 1
        for _ in range(3):
            again = await daemon.state.next_keep()
            assert again is not None
            assert clock.now() < again < expire_at
            clock.advance(again - clock.now())
            await daemon.sync()
        world.maintenance = False
        again = await daemon.state.next_keep()
        assert again is not None
        clock.advance(again - clock.now())
        await daemon.sync()
        results = [each.result for each in await ledger(daemon)]
    assert results == [KeepResult.KEPT, *[KeepResult.DENIED] * 4]
    assert job.expire_at is None


async def test_what_refuses_is_not_asked_for_each_job(world, app, clock, tmp_path):
    """One refusal stands for the others of the ref: they are put off and downloaded first, and a grant is for all again."""
    jobs = [build(world, app, f"build {n}", expire_in=DAY + n * HOUR / 60).jobs[0] for n in range(12)]
    unavailable(world)
    world.maintenance = True
    policy = replace(QUICK, attempts=1, keeps=1)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=policy) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        assert len(calls(world)) == 1
        assert [entry.result for entry in await ledger(daemon)] == [KeepResult.DENIED]
        (trouble,) = (await daemon.state.summary()).troubles
        assert (trouble.subject, "gitlab.keep_token" in trouble.hint) == ("keep in acme/app", True)
        for expected in (2, 3):
            again = await daemon.state.next_keep()
            assert again is not None
            clock.advance(again - clock.now())
            await daemon.sync()
            assert len(calls(world)) == expected
        world.maintenance = False
        again = await daemon.state.next_keep()
        assert again is not None
        clock.advance(again - clock.now())
        await daemon.sync()
        assert (await daemon.state.summary()).troubles == ()
    assert [job.expire_at for job in jobs] == [None] * 12


async def test_a_protected_branch_does_not_keep_others_from_being_kept(world, app, clock, tmp_path):
    """It expires sooner and refuses for ever; what another ref made is kept all the same."""
    app.protected_refs = {"main"}
    world.add_token(SimToken(value=TOKEN, protected=False))
    protected = [build(world, app, f"build {n}", expire_in=DAY).jobs[0] for n in range(5)]
    free = build(world, app, "build", ref="topic", expire_in=DAY + HOUR / 6).jobs[0]
    unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        for _ in range(3):
            again = await daemon.state.next_keep()
            assert again is not None
            clock.advance(again - clock.now())
            await daemon.sync()
    assert free.expire_at is None
    assert all(job.expire_at is not None for job in protected)


async def test_a_grant_brings_the_others_forward(world, app, clock, tmp_path):
    """What one ref is granted the other may be granted, too, and is asked for in the same moment."""
    refused = build(world, app, "build", expire_in=DAY).jobs[0]
    granted = build(world, app, "build", ref="topic", expire_in=DAY + HOUR / 60).jobs[0]
    unavailable(world)
    fault = world.faults.add(Fault(action=Answer(status=403), path=f"/jobs/{refused.id}/artifacts/keep$", times=2))
    policy = replace(QUICK, attempts=1, keeps=1)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=policy) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        assert (refused.expire_at is None, granted.expire_at is None) == (False, False)
        clock.advance(timedelta(seconds=15))
        await daemon.sync()
    assert fault.fired == 2
    assert (refused.expire_at, granted.expire_at) == (None, None)


async def test_what_has_surely_expired_is_not_asked_for(world, app, clock, tmp_path):
    """The answer is known to be 404; the ledger says so, and the download is tried: GitLab holds the newest of a ref."""
    app.keep_latest = True
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    fault = unavailable(world)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        await daemon.sync()
        clock.advance(DAY + timedelta(minutes=6))
        await daemon.sync()
        (entry,) = await ledger(daemon)
        assert (entry.result, "not asked" in entry.detail) == (KeepResult.EXPIRED, True)
        world.faults.remove(fault)
        await daemon.sync()
    assert calls(world) == []
    assert daemon.mirrored == digests([job])


async def test_a_keep_that_fails_is_tried_again(world, app, clock, tmp_path):
    """A 500 says nothing of the job."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    unavailable(world)
    world.faults.add(Fault(action=Answer(status=500), path=CALL))
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        again = await daemon.state.next_keep()
        assert again is not None
        clock.advance(again - clock.now())
        await daemon.sync()
        assert [each.result for each in await ledger(daemon)] == [KeepResult.KEPT, KeepResult.FAILED]
    assert job.expire_at is None


async def test_a_keep_under_way_is_not_called_again(world, app, clock, tmp_path):
    """The end of a pass asks for what is due, and waits for the call that is made already."""
    build(world, app, "build", expire_in=DAY)
    unavailable(world)
    stalled = world.faults.add(Fault(action=Stall(seconds=0.3), path=CALL))
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=replace(QUICK, attempts=1)) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        assert [each.result for each in await ledger(daemon)] == [KeepResult.KEPT]
    assert (stalled.fired, len(calls(world))) == (1, 1)


async def test_soonest_expiry_first(world, app, clock, tmp_path):
    """What is lost first is kept first."""
    jobs = [build(world, app, "build", expire_in=DAY + minutes * HOUR / 60).jobs[0] for minutes in (30, 10, 20)]
    unavailable(world)
    policy = replace(QUICK, attempts=1, keeps=1)
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=policy) as daemon:
        clock.advance(DAY - HOUR)
        await daemon.sync()
        assert await daemon.in_state(TransferState.FAILED) == 3
    kept = [int(seen.path.split("/")[-3]) for seen in calls(world)]
    assert kept == [jobs[1].id, jobs[2].id, jobs[0].id]


async def test_the_daemon_keeps_while_downloads_hang(world, app, clock, tmp_path):
    """No download can starve it."""
    job = build(world, app, "build", expire_in=DAY).jobs[0]
    hanging = world.faults.add(Fault(action=Stall(seconds=30), path=NO_DOWNLOAD, times=None))
    async with rig(world, tmp_path, rule(keep=BEFORE), clock=clock, policy=QUICK) as daemon, running(daemon):
        await until(lambda: clock.asleep == 8)
        clock.advance(1)
        await until(lambda: hanging.fired == 1)
        assert calls(world) == []
        clock.advance(DAY - HOUR)
        daemon.engine._keeper.wake()
        await until(lambda: job.expire_at is None)
        await until(lambda: bool(daemon.of(Kept)))
    assert daemon.of(Kept)[0].result is KeepResult.KEPT

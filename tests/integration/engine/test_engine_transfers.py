"""Downloads that fail, stop, are killed, and what the next start makes of them."""

import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from artifact_sync.core.events import Recovered, TransferEnded
from artifact_sync.core.model import StagedFile
from artifact_sync.errors import CredentialRefused, NoSpace, Outcome
from artifact_sync.ports import Publication, QueuedTransfer, TransferState
from artifact_sync.simulator import JobSpec, SimClock, World, big, serve
from artifact_sync.simulator.faults import Answer, Fault, Stall
from tests.integration.engine.engine_harness import (
    DAY,
    QUICK,
    DrivenClock,
    Rig,
    build,
    digests,
    downloads,
    rig,
    rule,
    staging,
    until,
)

ARCHIVE = "/jobs/[0-9]+/artifacts$"
MIB = 1 << 20


@pytest.fixture
def large(world, app):
    """A job with an archive of 4 MiB."""
    job = world.add_pipeline(app, "main", [JobSpec("build", archive=big(4 * MIB))]).jobs[0]
    return world.finish(job)


async def stopped_half_way(world: World, daemon: Rig, path: Path) -> None:
    """Cancel a pass when a part of the archive has come."""
    world.faults.add(Fault(action=Stall(seconds=60, after=2 * MIB), path=ARCHIVE))
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.engine.sync)
        await until(lambda: any(size >= MIB for size in staging(path).values()))
        group.cancel_scope.cancel()


async def claimed(daemon: Rig) -> QueuedTransfer:
    """Discover what is there, and take the next transfer."""
    await daemon.engine._following._discovery.poll(await daemon.remote.project(1))
    queued = await daemon.queue.claim(daemon.clock.now())
    assert queued is not None
    return queued


async def staged(daemon: Rig) -> tuple[QueuedTransfer, tuple[StagedFile, ...]]:
    """Up to step P5."""
    queued = await claimed(daemon)
    files = await daemon.fetcher.fetch(queued)
    await daemon.queue.stage(queued.id, files)
    return queued, files


async def test_a_stopped_download_is_resumed(world, large, tmp_path):
    """The part stays, no attempt is counted, and the next start asks for the rest alone."""
    async with rig(world, tmp_path, rule()) as daemon:
        await stopped_half_way(world, daemon, tmp_path)
        queued = await daemon.transfer(large)
        assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
    (size,) = staging(tmp_path).values()
    assert MIB <= size < 4 * MIB
    async with rig(world, tmp_path, rule()) as daemon:
        assert daemon.of(Recovered) == [Recovered(republished=0, restarted=0, strays_removed=0, missing=0)]
        await daemon.sync()
    assert daemon.mirrored == digests([large])
    first, second = downloads(world, large)
    assert "Range" not in first.headers
    assert second.headers["Range"] == f"bytes={size}-"
    assert second.headers["If-Range"].strip('"') == digests([large])[large.id]


async def test_failures_are_tried_again_later_and_later(world, app, tmp_path):
    """Each wait may be twice as long as the one before; then it has failed until the next pass."""
    made = World(clock=SimClock.manual())
    clock = DrivenClock(made.clock)
    job = build(made, made.add_project("acme/app"), "build").jobs[0]
    made.faults.add(Fault(action=Answer(status=503), path=ARCHIVE, times=4))
    policy = replace(QUICK, attempts=4, retry_base=100.0, retry_cap=1000.0)
    async with serve(made), rig(made, tmp_path, rule(), policy=policy, clock=clock) as daemon:
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.engine.sync)
            for attempt in (1, 2, 3):
                await until(lambda: len(daemon.of(TransferEnded)) == attempt)  # noqa: B023 -- awaited here
                ended = daemon.of(TransferEnded)[-1]
                assert ended.retry_at is not None
                assert 0 <= (ended.retry_at - clock.now()).total_seconds() <= 100 * 2 ** (attempt - 1)
                assert len(downloads(made)) == attempt
                clock.advance(ended.retry_at - clock.now())
                daemon.engine._workers.wake()
            await until(lambda: len(daemon.of(TransferEnded)) == 4)
        last = daemon.of(TransferEnded)[-1]
        queued = await daemon.transfer(job)
        assert (last.retry_at, last.outcome) == (None, Outcome.RETRY_LATER)
        assert (queued.state, queued.attempts) == (TransferState.FAILED, 4)
        assert "503" in queued.error
        report = await daemon.sync()
        assert (report.published, report.failed) == (1, 0)
    assert daemon.mirrored == digests([job])


async def test_a_pass_with_failures_is_not_complete(world, app, tmp_path):
    """And says how many; the others are mirrored."""
    good, bad = build(world, app, "a", "b").jobs
    world.faults.add(Fault(action=Answer(status=503), path=f"/jobs/{bad.id}/artifacts$", times=None))
    async with rig(world, tmp_path, rule()) as daemon:
        report = await daemon.sync()
    assert (report.published, report.failed, report.complete) == (1, 1, False)
    assert len(downloads(world, bad)) == QUICK.attempts
    assert daemon.mirrored == digests([good])


async def test_gone_is_final(world, app, tmp_path):
    """The job itself shows that its archive is gone: it is not asked for again, and what was published of others stays."""
    kept, gone = build(world, app, "a", "b").jobs
    policy = replace(QUICK, attempts=8)
    async with rig(world, tmp_path, rule(), policy=policy) as daemon:
        await daemon.engine._following._discovery.poll(await daemon.remote.project(app.id))
        world.delete_artifacts(gone)
        report = await daemon.sync()
        queued = await daemon.transfer(gone)
        assert (queued.state, queued.outcome, queued.attempts) == (TransferState.FAILED, Outcome.GONE, 1)
        second = await daemon.sync()
    assert (report.published, report.failed) == (1, 1)
    assert (second.published, second.failed, second.unmirrored, second.complete) == (0, 0, 1, False)
    assert len(downloads(world, gone)) == 1
    assert daemon.mirrored == digests([kept])


async def test_a_404_that_passes(world, app, tmp_path):
    """While the job still lists its archive, a 404 is the storage's trouble."""
    job = build(world, app, "build").jobs[0]
    world.faults.add(Fault(action=Answer(status=404), path=ARCHIVE, times=2))
    async with rig(world, tmp_path, rule()) as daemon:
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests([job])


async def test_a_full_disk_ends_the_pass_and_is_nobodys_fault(world, app, tmp_path):
    """No attempt is counted, nothing is asked of GitLab, and with room again all is mirrored."""
    jobs = build(world, app, "a", "b", "c").jobs
    async with rig(world, tmp_path, rule(), min_free=1 << 60) as daemon:
        with pytest.raises(NoSpace):
            await daemon.sync()
        for job in jobs:
            queued = await daemon.transfer(job)
            assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
    assert staging(tmp_path) == {}
    async with rig(world, tmp_path, rule()) as daemon:
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(jobs)


async def test_a_refused_credential_is_nobodys_fault(world, app, tmp_path):
    """As a full disk."""
    jobs = build(world, app, "a", "b", "c").jobs
    refused = Answer(status=401, body='{"message":"401 Unauthorized"}', content_type="application/json")
    world.faults.add(Fault(action=refused, path=ARCHIVE, times=None))
    async with rig(world, tmp_path, rule()) as daemon:
        with pytest.raises(CredentialRefused):
            await daemon.sync()
        for job in jobs:
            queued = await daemon.transfer(job)
            assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
    world.faults.clear()
    async with rig(world, tmp_path, rule()) as daemon:
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(jobs)


async def test_what_was_staged_is_published_without_a_download(world, app, tmp_path):
    """Killed between P5 and P6."""
    job = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule()) as daemon:
        await staged(daemon)
    async with rig(world, tmp_path, rule()) as daemon:
        assert daemon.of(Recovered) == [Recovered(republished=1, restarted=0, strays_removed=0, missing=0)]
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests([job])
    assert len(downloads(world)) == 1


async def test_what_was_published_but_not_recorded(world, app, tmp_path):
    """Killed between P6 and P7."""
    job = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule()) as daemon:
        queued, files = await staged(daemon)
        await daemon.store.publish(Publication(transfer=queued.transfer, files=files, at=daemon.clock.now()))
    async with rig(world, tmp_path, rule()) as daemon:
        assert daemon.of(Recovered) == [Recovered(republished=1, restarted=0, strays_removed=0, missing=0)]
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
    assert daemon.mirrored == digests([job])
    assert len(downloads(world)) == 1


async def test_staged_bytes_that_changed_are_not_published(world, app, tmp_path):
    """A power cut may leave other bytes than those that were recorded: it is downloaded again."""
    job = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule()) as daemon:
        _, (file,) = await staged(daemon)
    part = tmp_path / "store" / ".staging" / file.part
    part.write_bytes(bytes(part.stat().st_size))
    async with rig(world, tmp_path, rule()) as daemon:
        (recovered,) = daemon.of(Recovered)
        assert (recovered.republished, recovered.restarted) == (0, 1)
        assert daemon.mirrored == {}
        await daemon.sync()
    assert daemon.mirrored == digests([job])
    assert len(downloads(world)) == 2


async def test_a_kill_in_mid_download_starts_over(world, app, tmp_path):
    """What was in flight is wanted again; a part of which nothing is remembered goes."""
    job = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule()) as daemon:
        queued = await claimed(daemon)
    (tmp_path / "store" / ".staging" / f"{queued.id}-0.part").write_bytes(b"half")
    async with rig(world, tmp_path, rule()) as daemon:
        assert daemon.of(Recovered) == [Recovered(republished=0, restarted=1, strays_removed=1, missing=0)]
        assert (await daemon.transfer(job)).attempts == 0
        await daemon.sync()
    assert daemon.mirrored == digests([job])
    assert staging(tmp_path) == {}


async def test_strays_go_and_wanted_parts_stay(world, large, tmp_path):
    """Of what lies in staging at the start, only what can be resumed is kept."""
    async with rig(world, tmp_path, rule()) as daemon:
        await stopped_half_way(world, daemon, tmp_path)
        queued = await daemon.transfer(large)
    for name in ("999-0.part", "noise", "publish-something"):
        (tmp_path / "store" / ".staging" / name).write_bytes(b"x")
    async with rig(world, tmp_path, rule()) as daemon:
        (recovered,) = daemon.of(Recovered)
        assert recovered.strays_removed == 3
        assert set(staging(tmp_path)) == {f"{queued.id}-0.part"}


@pytest.mark.parametrize("harm", ["removed", "truncated"])
async def test_what_is_lost_is_fetched_again(world, app, tmp_path, harm):
    """A published file that is not there, or not whole, at the start."""
    safe, harmed = build(world, app, "a", "b").jobs
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        queued = await daemon.transfer(harmed)
    file = tmp_path / "store" / "tree" / queued.transfer.dest / "artifacts.zip"
    if harm == "removed":
        file.unlink()
    else:
        file.chmod(0o644)
        os.truncate(file, 10)
    async with rig(world, tmp_path, rule()) as daemon:
        (recovered,) = daemon.of(Recovered)
        assert recovered.missing == 1
        assert (await daemon.transfer(harmed)).state is TransferState.LOST
        assert (await daemon.transfer(safe)).state is TransferState.PUBLISHED
        report = await daemon.sync()
    assert (report.published, report.complete) == (1, True)
    assert daemon.mirrored == digests([safe, harmed])


async def test_lost_and_gone_upstream(world, app, tmp_path):
    """It is told as failed, and nothing else here is touched."""
    safe, harmed = build(world, app, "a", "b").jobs
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        dest = (await daemon.transfer(harmed)).transfer.dest
    (tmp_path / "store" / "tree" / dest / "artifacts.zip").unlink()
    world.delete_artifacts(harmed)
    async with rig(world, tmp_path, rule()) as daemon:
        report = await daemon.sync()
    assert (report.failed, report.complete) == (1, False)
    assert daemon.mirrored == digests([safe])


async def test_the_soonest_expiry_goes_first(world, app, tmp_path):
    """Whatever the order of their ids."""
    days = (9, 2, None, 5)
    jobs = [build(world, app, "x", expire_in=DAY * each if each else None).jobs[0] for each in days]
    async with rig(world, tmp_path, rule(), policy=replace(QUICK, downloads=1)) as daemon:
        await daemon.engine._following._discovery.poll(await daemon.remote.project(app.id))
        await daemon.sync()
    order = [event.job_id for event in daemon.of(TransferEnded)]
    assert order == [jobs[1].id, jobs[3].id, jobs[0].id, jobs[2].id]

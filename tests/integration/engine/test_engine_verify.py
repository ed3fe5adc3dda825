"""Damage of every kind is found, set aside before anybody reads it, and brought back."""

import os
import random
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artifact_sync.core.events import Damaged, Foreign, Mended
from artifact_sync.core.inspection import Fault
from artifact_sync.core.rules import Fetch
from artifact_sync.engine.mending import expected_of
from artifact_sync.engine.repair import Repaired
from artifact_sync.engine.verifying import Gauge, Verified, verify
from artifact_sync.errors import Outcome
from artifact_sync.ports import QueuedTransfer, TransferState
from artifact_sync.simulator import JobSpec, SimJob, World, serve, small
from tests.integration.engine.engine_harness import Rig, build, digests, downloads, mirrored, rig, rule


def archive(daemon: Rig, job: SimJob) -> Path:
    """The job's archive in the tree."""
    (path,) = (daemon.path / "store" / "tree").rglob(f"{job.id}/artifacts.zip")
    return path


def flip(path: Path, bit: int = 0) -> None:
    """One bit of a file; its time of modification stays, as when a disk forgets."""
    status = path.stat()
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[(bit // 8) % len(content)] ^= 1 << bit % 8
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(stat.S_IMODE(status.st_mode))


def truncate(path: Path) -> None:
    """The second half is gone."""
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)
    path.chmod(0o444)


async def look(daemon: Rig) -> Verified:
    """Verify everything, changing nothing."""
    return await verify(
        daemon.state.mirrored(), inspector=daemon.store.inspector(), state=daemon.state, emit=daemon.events.append
    )


async def mend(daemon: Rig) -> Repaired:
    """Verify and repair everything."""
    return await daemon.engine.repair(daemon.state.mirrored(), gauge=Gauge())


@pytest.mark.timeout(180)
async def test_t16_every_damage_is_reported_none_is_served_all_is_repaired(tmp_path):
    """One bit in each of 100 files, 50 cut, 50 deleted: 200 reported, never linked or read again, and all fetched again."""
    world = World()
    app = world.add_project("acme/app")
    jobs = [job for _ in range(21) for job in build(world, app, *(f"build{n}" for n in range(10))).jobs]
    luck = random.Random(16)
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        assert (await daemon.sync()).complete
        whole = mirrored(tmp_path)
        assert (await look(daemon)).damaged == 0
        harmed = luck.sample(jobs, 200)
        for job in harmed[:100]:
            flip(archive(daemon, job), luck.randrange(1 << 20))
        for job in harmed[100:150]:
            truncate(archive(daemon, job))
        for job in harmed[150:]:
            path = archive(daemon, job)
            # The object as well, or it would be a good copy.
            (daemon.path / "store" / "objects" / whole[job.id][:2] / whole[job.id]).unlink()
            path.unlink()
        daemon.events.clear()
        before = len(downloads(world))

        found = await look(daemon)
        assert (found.publications, found.damaged, found.names) == (210, 200, 200)
        assert {event.job_id for event in daemon.of(Damaged)} == {job.id for job in harmed}
        faults = {event.job_id: event.damages[0].fault for event in daemon.of(Damaged)}
        assert [faults[job.id] for job in harmed] == [Fault.CONTENT] * 100 + [Fault.SIZE] * 50 + [Fault.MISSING] * 50

        served: list[dict[int, str]] = []

        class Watching(Gauge):
            def fetching(self) -> None:
                served.append(mirrored(tmp_path))

        done = await daemon.engine.repair(daemon.state.mirrored(), gauge=Watching())
        assert (done.verified.damaged, done.mended, done.fetched, done.unrepaired) == (200, 0, 200, [])
        # Between the quarantine and the repair nothing damaged stands anywhere.
        assert served == [{job.id: whole[job.id] for job in jobs if job not in harmed}]
        assert len(downloads(world)) - before == 200
        assert mirrored(tmp_path) == whole == digests(jobs)
        # Each damaged file under both of its names.
        assert len(list((tmp_path / "store" / ".quarantine").iterdir())) == 300
        assert (await look(daemon)).damaged == 0
        counts = (await daemon.state.summary()).counts
        assert (counts["damage.found"], counts["damage.mended"]) == (200, 200)


async def test_all_who_share_a_damaged_file_are_damaged_alike(tmp_path):
    """Found in one publication, it is out of the others at once, and nobody is linked to the damaged object."""
    world = World()
    app = world.add_project("acme/app")
    spec = JobSpec("build", archive=small("the same"))
    jobs = [world.finish(world.add_pipeline(app, "main", [spec]).jobs[0]) for _ in range(3)]
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        assert len({archive(daemon, job).stat().st_ino for job in jobs}) == 1
        flip(archive(daemon, jobs[1]))
        first = await daemon.transfer(jobs[0])

        async def only() -> AsyncIterator[QueuedTransfer]:
            yield first

        digest = digests(jobs)[jobs[0].id]
        standing: list[bool] = []

        class Watching(Gauge):
            def fetching(self) -> None:
                standing.append((tmp_path / "store" / "objects" / digest[:2] / digest).exists())

        done = await daemon.engine.repair(only(), gauge=Watching())
        assert standing == [False]
        assert (done.verified.publications, done.fetched) == (1, 3)
        assert mirrored(tmp_path) == digests(jobs)
        assert {event.job_id for event in daemon.of(Damaged)} == {job.id for job in jobs}


async def test_a_good_object_is_used_instead_of_a_download(tmp_path):
    """A deleted name, a deleted directory and a damaged manifest come back from what the store has."""
    world = World()
    jobs = build(world, world.add_project("acme/app"), "a", "b", "c", "d").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        before = len(downloads(world))
        archive(daemon, jobs[0]).unlink()
        place = archive(daemon, jobs[1]).parent
        place.rename(tmp_path / "elsewhere")
        flip(archive(daemon, jobs[2]).with_name(".artifact-sync.json"), 400)
        sums = archive(daemon, jobs[3]).with_name("SHA256SUMS")
        sums.chmod(0o600)
        sums.write_bytes(sums.read_bytes().replace(b"artifacts", b"artefacts"))
        done = await mend(daemon)
        assert (done.verified.damaged, done.mended, done.fetched) == (4, 4, 0)
        assert len(downloads(world)) == before
        assert mirrored(tmp_path) == digests(jobs)
        assert (await look(daemon)).damaged == 0
        assert [event.whole for event in daemon.of(Mended)] == [True] * 4


async def test_what_gitlab_has_no_more_is_lost_for_good(tmp_path):
    """Reported with the reason, not published damaged, and whole again once somebody puts the file back."""
    world = World()
    jobs = build(world, world.add_project("acme/app"), "a", "b").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        path = archive(daemon, jobs[0])
        content = path.read_bytes()
        flip(path)
        world.erase(jobs[0])
        done = await mend(daemon)
        (lost,) = done.unrepaired
        assert (lost.transfer.job.id, lost.state, lost.outcome) == (jobs[0].id, TransferState.FAILED, Outcome.GONE)
        assert not path.exists()
        assert (await look(daemon)).damaged == 1
        path.write_bytes(content)
        assert (await look(daemon)).damaged == 0
        assert (await mend(daemon)).unrepaired == []
        assert (await daemon.transfer(jobs[0])).state is TransferState.PUBLISHED


async def test_foreign_names_are_told_and_left_alone(tmp_path):
    """Files, links and folders that nobody published, with names that break lines; and links are never followed."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        folder = archive(daemon, job).parent
        (folder / "mine.txt").write_text("mine")
        (folder / "a\nb").write_text("two lines")
        (folder / os.fsdecode(b"\xff")).write_text("no text")
        (folder / "link").symlink_to("/")
        (folder / "below").mkdir()
        (folder / "below" / "deep").write_text("deep")
        found = await mend(daemon)
        assert (found.verified.damaged, found.verified.foreign) == (0, 5)
        (event,) = daemon.of(Foreign)
        assert set(event.names) == {"mine.txt", "a\nb", "link", "below/deep", "\\xff"}
        assert (folder / "below" / "deep").read_text() == "deep"


async def test_a_link_in_place_of_a_file_is_damage(tmp_path):
    """It is set aside itself, not what it points at."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        path = archive(daemon, job)
        target = tmp_path / "target"
        target.write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(target)
        done = await mend(daemon)
        assert (done.verified.damaged, done.mended) == (1, 1)
        assert not path.is_symlink()
        assert mirrored(tmp_path) == digests([job])
        assert target.exists()


async def test_shared_bytes_are_read_once(tmp_path):
    """Names of one inode cost one reading; what is read is as much as lies there."""
    world = World()
    app = world.add_project("acme/app")
    spec = JobSpec("build", archive=small("the same", size=300_000))
    jobs = [world.finish(world.add_pipeline(app, "main", [spec]).jobs[0]) for _ in range(5)]
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        read: list[int] = []
        inspector = daemon.store.inspector(threads=2, progress=read.append)
        found = await verify(
            daemon.state.mirrored(), inspector=inspector, state=daemon.state, emit=daemon.events.append
        )
        assert found.publications == 5
        assert sum(read) == archive(daemon, jobs[0]).stat().st_size
        assert found.size == 5 * sum(read)


async def test_what_is_fetched_again_is_not_called_damaged(tmp_path):
    """A publication that changed since it was read from the state is left out, and not set aside."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        seen = await daemon.transfer(job)
        archive(daemon, job).unlink()
        await daemon.queue.lost(seen.id)
        assert await daemon.queue.claim(daemon.clock.now()) is not None

        async def only() -> AsyncIterator[QueuedTransfer]:
            yield seen

        found = await verify(only(), inspector=daemon.store.inspector(), state=daemon.state, emit=daemon.events.append)
        assert (found.publications, daemon.of(Damaged)) == (0, [])


async def test_what_was_replaced_meanwhile_is_not_set_aside(tmp_path):
    """An older look at it says that it is damaged; another file stands there now."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        expected = expected_of(await daemon.transfer(job))
        flip(archive(daemon, job))
        (damaged,) = await daemon.store.inspector().inspect(expected)
        assert (await mend(daemon)).fetched == 1
        assert await daemon.store.set_aside(expected, damaged) == frozenset()
        assert mirrored(tmp_path) == digests([job])


async def test_files_that_stand_in_folders_are_looked_at(tmp_path):
    """Files of an archive, each by its hash; a folder that is gone is every file in it."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule(fetch=Fetch(files=("**",), archive=False))) as daemon:
        await daemon.sync()
        files = sorted(file.name for file in (await daemon.transfer(job)).files)
        assert len(files) > 1
        folder = next(path for path in (tmp_path / "store" / "tree").rglob("files"))
        folder.rename(tmp_path / "gone")
        found = await look(daemon)
        assert found.names == len(files)
        assert (await mend(daemon)).mended == 1
        assert (await look(daemon)).damaged == 0

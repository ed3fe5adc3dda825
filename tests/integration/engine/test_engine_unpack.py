"""Archives that are published as the files in them, from the rule to the publication and through crashes and changes."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from artifact_sync.core.events import Recovered
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy, Publish
from artifact_sync.core.unpacking import Unpack
from artifact_sync.engine.release import standing
from artifact_sync.errors import DoesNotFit, NotMirrored
from artifact_sync.fetch import Fetcher, FetchPolicy
from artifact_sync.ports import TransferState
from artifact_sync.simulator import JobSpec, SimClock, SimJob, World, raw, serve, small
from artifact_sync.store import LocalStore
from artifact_sync.store.manifest import Manifest, parse
from artifact_sync.store.paths import MANIFEST
from tests.hostile_archives import HOSTILE
from tests.integration.engine.engine_harness import DAY, DrivenClock, Rig, downloads, rig, rule, staging
from tests.integration.engine.plans import missing, take_up

#: What the simulator's usual archive holds, without its link and its empty directory.
INSIDE = {"content/dist/app", "content/reports/test log.txt", "content/VERSION", "content/empty.txt"}


def finished(world: World, archive=None) -> SimJob:
    """A job with an archive."""
    project = world.add_project("acme/app")
    job = world.add_pipeline(project, "main", [JobSpec("build", archive=archive or small("x"))]).jobs[0]
    return world.finish(job)


def uploaded(job: SimJob) -> bytes:
    """The archive as GitLab has it."""
    assert job.spec.archive is not None
    content = job.spec.archive.content
    return content.read(0, content.size)


def wants(unpack: Unpack, *, name: str = "r", **fetch):
    """A rule that publishes archives so."""
    return replace(rule(name=name, fetch=Fetch(**fetch)), publish=Publish(unpack=unpack))


def folder(path: Path) -> Path:
    """The only publication."""
    (found,) = (path / "store" / "tree").rglob(MANIFEST)
    return found.parent


def shown(path: Path) -> set[str]:
    """Names of its files, without the store's own."""
    there = folder(path)
    names = {str(each.relative_to(there)) for each in there.rglob("*") if not each.is_dir()}
    return names - {MANIFEST, "SHA256SUMS"}


def manifest(path: Path) -> Manifest:
    """Of the only publication."""
    return parse((folder(path) / MANIFEST).read_bytes(), where="")


def sums_hold(path: Path) -> bool:
    """Whether `sha256sum -c` agrees."""
    ran = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder(path), check=False)
    return ran.returncode == 0


async def restarted(daemon: Rig) -> Recovered:
    """What the start made of the run before."""
    await daemon.engine.recover()
    (told,) = daemon.of(Recovered)
    return told


@pytest.mark.parametrize("unpack", [Unpack.ALSO, Unpack.ONLY])
async def test_an_archive_is_published_as_its_files(tmp_path, unpack):
    """With the archive or instead of it, byte for byte and executable where it was; the next pass asks for nothing."""
    world = World()
    job = finished(world)
    async with serve(world), rig(world, tmp_path, wants(unpack)) as daemon:
        await daemon.sync()
        assert shown(tmp_path) == INSIDE | ({"artifacts.zip"} if unpack is Unpack.ALSO else set())
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
        assert await missing(daemon, job) == []
        await take_up(daemon, job)
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
        assert len(downloads(world)) == 1
    with zipfile.ZipFile(io.BytesIO(uploaded(job))) as archive:
        for name in INSIDE:
            assert (folder(tmp_path) / name).read_bytes() == archive.read(name.removeprefix("content/"))
    assert {name for name in INSIDE if (folder(tmp_path) / name).stat().st_mode & 0o100} == {"content/dist/app"}
    assert sums_hold(tmp_path)
    assert staging(tmp_path) == {}
    (entry,) = manifest(tmp_path).unpacked
    assert entry.published is (unpack is Unpack.ALSO)
    assert entry.sha256 == hashlib.sha256(uploaded(job)).hexdigest()
    assert [(link.member, link.target) for link in entry.contents.skipped] == [("dist/latest", "app")]
    async with rig(world, tmp_path, wants(unpack), recover=False) as daemon:
        recovered = await restarted(daemon)
        assert (recovered.missing, recovered.restarted, recovered.strays_removed) == (0, 0, 0)


@pytest.mark.parametrize("unpack", [Unpack.ALSO, Unpack.ONLY])
async def test_a_rejected_archive_stays_a_file_and_says_why(tmp_path, unpack):
    """In the manifest and in the log; nothing of it is unpacked, and it is not fetched again for that."""
    evil = HOSTILE["parent"]
    world = World()
    job = finished(world, raw(evil.data))
    with capture_logs() as logs:
        async with serve(world), rig(world, tmp_path, wants(unpack)) as daemon:
            await daemon.sync()
            assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
            assert await missing(daemon, job) == []
            await take_up(daemon, job)
            assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
    assert shown(tmp_path) == {"artifacts.zip"}
    assert (folder(tmp_path) / "artifacts.zip").read_bytes() == evil.data
    assert sums_hold(tmp_path)
    assert staging(tmp_path) == {}
    (entry,) = manifest(tmp_path).unpacked
    rejected = entry.contents.rejected
    assert rejected is not None
    assert (entry.published, rejected.rule, rejected.member) == (True, evil.rule, "../evil")
    assert evil.words in rejected.reason
    (told,) = [entry for entry in logs if entry["event"] == "archive.rejected"]
    assert (told["log_level"], told["rule"], told["member"]) == ("warning", evil.rule, "../evil")
    assert not any(path.name == "evil" for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("first", "then", "state", "files"),
    [
        (Unpack.NO, Unpack.ALSO, TransferState.WANTED, INSIDE | {"artifacts.zip"}),
        (Unpack.NO, Unpack.ONLY, TransferState.WANTED, INSIDE | {"artifacts.zip"}),
        (Unpack.ONLY, Unpack.NO, TransferState.WANTED, INSIDE | {"artifacts.zip"}),
        (Unpack.ONLY, Unpack.ALSO, TransferState.WANTED, INSIDE | {"artifacts.zip"}),
        (Unpack.ALSO, Unpack.NO, TransferState.PUBLISHED, INSIDE | {"artifacts.zip"}),
        (Unpack.ALSO, Unpack.ONLY, TransferState.PUBLISHED, INSIDE | {"artifacts.zip"}),
        (Unpack.ONLY, Unpack.ONLY, TransferState.PUBLISHED, INSIDE),
    ],
)
async def test_a_change_of_the_rule_is_taken_up_where_something_is_missing(tmp_path, first, then, state, files):
    """What is published stays; what is wanted besides is published beside it, and then nothing is wanted any more."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(first)) as daemon:
            await daemon.sync()
        async with rig(world, tmp_path, wants(then)) as daemon:
            assert await missing(daemon, job) == (["artifacts.zip"] if state is TransferState.WANTED else [])
            await take_up(daemon, job)
            assert (await daemon.transfer(job)).state is state
            await daemon.sync()
            assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
            assert await missing(daemon, job) == []
            await take_up(daemon, job)
            assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
    assert shown(tmp_path) == files
    assert sums_hold(tmp_path)


async def test_what_is_not_there_yet_follows_the_rule_alone(tmp_path):
    """An archive that could not be fetched under the old rule is published as the new one says."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(Unpack.NO)) as daemon:
            await take_up(daemon, job)
        async with rig(world, tmp_path, wants(Unpack.ONLY)) as daemon:
            await take_up(daemon, job)
            await daemon.sync()
    assert shown(tmp_path) == INSIDE


async def test_two_rules_at_one_destination_both_have_theirs(tmp_path):
    """One wants the archive, the other its files and one of them by its name."""
    world = World()
    finished(world)
    both = (wants(Unpack.NO), wants(Unpack.ONLY, name="s", files=("VERSION",)))
    async with serve(world), rig(world, tmp_path, *both) as daemon:
        await daemon.sync()
    assert shown(tmp_path) == INSIDE | {"artifacts.zip", "files/VERSION"}
    assert (folder(tmp_path) / "files" / "VERSION").samefile(folder(tmp_path) / "content" / "VERSION")


async def test_a_stop_between_unpacking_and_publishing_converges(tmp_path):
    """What was unpacked and not recorded yet goes at the next start, and the next attempt publishes the whole."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(Unpack.ONLY)) as daemon:
            await take_up(daemon, job)
            queued = await daemon.queue.claim(daemon.clock.now())
            assert queued is not None
            await daemon.fetcher.fetch(queued)
            assert f"{queued.id}-content" in staging(tmp_path)
        async with rig(world, tmp_path, wants(Unpack.ONLY), recover=False) as daemon:
            recovered = await restarted(daemon)
            assert (recovered.restarted, recovered.republished) == (1, 0)
            assert f"{queued.id}-content" not in staging(tmp_path)
            await daemon.sync()
    assert shown(tmp_path) == INSIDE
    assert staging(tmp_path) == {}


async def test_a_stop_after_staging_is_published_by_the_next_start(tmp_path):
    """Without another download, executable files as such."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(Unpack.ONLY)) as daemon:
            await take_up(daemon, job)
            queued = await daemon.queue.claim(daemon.clock.now())
            assert queued is not None
            await daemon.queue.stage(queued.id, await daemon.fetcher.fetch(queued))
        before = len(world.requests)
        async with rig(world, tmp_path, wants(Unpack.ONLY), recover=False) as daemon:
            recovered = await restarted(daemon)
            assert (recovered.restarted, recovered.republished) == (0, 1)
        assert len(world.requests) == before
    assert shown(tmp_path) == INSIDE
    assert (folder(tmp_path) / "content" / "dist" / "app").stat().st_mode & 0o100
    assert sums_hold(tmp_path)
    assert staging(tmp_path) == {}


async def test_files_that_are_gone_are_published_again(tmp_path):
    """The next start sees it, and a pass mends it."""
    world = World()
    finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(Unpack.ONLY)) as daemon:
            await daemon.sync()
        (folder(tmp_path) / "content" / "VERSION").unlink()
        async with rig(world, tmp_path, wants(Unpack.ONLY), recover=False) as daemon:
            assert (await restarted(daemon)).missing == 1
            await daemon.sync()
    assert shown(tmp_path) == INSIDE


async def test_a_cancelled_unpacking_leaves_nothing_unpacked(tmp_path):
    """Neither a half nor a process; the archive may be continued."""
    world = World()
    job = finished(world, small("y", {f"{n}": b"x" * 1000 for n in range(3000)}))
    async with serve(world), rig(world, tmp_path, wants(Unpack.ONLY)) as daemon:
        await take_up(daemon, job)
        queued = await daemon.queue.claim(daemon.clock.now())
        assert queued is not None
        into = tmp_path / "store" / ".staging" / f"{queued.id}-content"
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.fetcher.fetch, queued)
            await daemon.reach(lambda: into.exists() and any(into.iterdir()))
            group.cancel_scope.cancel()
        assert not into.exists()


class Narrow(LocalStore):
    """A store on a small disk."""

    async def free(self) -> int:
        """Room for the archive, and not for its files."""
        return 2_000_000


async def test_without_room_the_archive_waits(tmp_path):
    """The disk's reserve holds for what is unpacked too; it is no reason to publish it as a file."""
    world = World()
    job = finished(world, small("y", {f"{n}": b"x" for n in range(1000)}))
    async with serve(world), rig(world, tmp_path / "a", wants(Unpack.ONLY)) as daemon:
        await take_up(daemon, job)
        queued = await daemon.queue.claim(daemon.clock.now())
        assert queued is not None
        async with Narrow.open(tmp_path / "b") as store:
            policy = FetchPolicy(min_rate=1, min_free=0)
            fetcher = Fetcher(daemon.remote, store, daemon.state, clock=daemon.clock, policy=policy, emit=print)
            with pytest.raises(DoesNotFit, match="it needs"):
                await fetcher.fetch(queued)
    assert [path.suffix for path in (tmp_path / "b" / ".staging").iterdir()] in ([], [".part"])


async def test_files_without_their_archive_are_no_copy_to_delete_it_for(tmp_path):
    """Links are not among them, nor is what proves the archive."""
    world = World(clock=SimClock.manual(datetime(2026, 3, 1, 12, tzinfo=UTC)))
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    job = world.finish(world.add_pipeline(app, "main", [JobSpec("build", archive=small("x"), expire_in=DAY)]).jobs[0])
    always = replace(wants(Unpack.ONLY), keep=Keep(policy=KeepPolicy.ALWAYS, lead=timedelta(hours=2)))
    async with serve(world), rig(world, tmp_path, always, clock=clock) as daemon:
        clock.advance(DAY - timedelta(hours=1))
        await daemon.sync()
        project = await daemon.remote.project(app.id)
        found = await standing(project, job.id, remote=daemon.remote, state=daemon.state, copies=daemon.store)
        assert found.verified
        with pytest.raises(NotMirrored, match="not its archive"):
            found.require_copy()

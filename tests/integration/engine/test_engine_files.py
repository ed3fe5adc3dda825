"""Files of an archive by pattern, from the rule to the publication and through changes of the rule."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.core.events import TransferEnded
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy
from artifact_sync.engine.release import standing
from artifact_sync.errors import Outcome
from artifact_sync.ports import TransferState
from artifact_sync.simulator import JobSpec, SimClock, SimJob, World, serve, small
from artifact_sync.store.manifest import Manifest, parse
from artifact_sync.store.paths import MANIFEST
from tests.integration.engine.engine_harness import DAY, DrivenClock, Rig, asked, rig, rule
from tests.integration.engine.plans import missing, take_up

NOISE = random.Random(5).randbytes(1_000_000)
FILES = {"dist/a.whl": b"wheel", "dist/b.whl": b"wheel b", "log/big": NOISE, "README": b"read"}


def finished(world: World) -> SimJob:
    """A job whose archive is worth not being fetched."""
    project = world.add_project("acme/app")
    job = world.add_pipeline(project, "main", [JobSpec("build", archive=small("x", FILES))]).jobs[0]
    return world.finish(job)


def wants(*files: str, archive: bool = False, name: str = "r"):
    """A rule for these entries of fetch.files."""
    return rule(name=name, fetch=Fetch(archive=archive, files=files))


def published(daemon: Rig) -> dict[str, bytes]:
    """Everything below files/ of the only publication."""
    (folder,) = {path.parent for path in (daemon.path / "store" / "tree").rglob(MANIFEST)}
    return {
        str(path.relative_to(folder / "files")): path.read_bytes()
        for path in sorted((folder / "files").rglob("*"))
        if path.is_file()
    }


def manifest(daemon: Rig) -> Manifest:
    """Of the only publication."""
    (path,) = (daemon.path / "store" / "tree").rglob(MANIFEST)
    return parse(path.read_bytes(), where=str(path))


async def test_a_pattern_becomes_files_and_is_done_with(tmp_path):
    """Each match is published under its path, with a manifest that knows where it was; the next pass asks for nothing."""
    world = World()
    job = finished(world)
    async with serve(world), rig(world, tmp_path, wants("dist/*", "sbom.json?", "*.exe?")) as daemon:
        await daemon.sync()

        assert published(daemon) == {"dist/a.whl": b"wheel", "dist/b.whl": b"wheel b"}
        entries = [(entry.name, entry.kind, entry.path) for entry in manifest(daemon).files]
        assert entries == [
            ("files/dist/a.whl", "file", "dist/a.whl"),
            ("files/dist/b.whl", "file", "dist/b.whl"),
        ]
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
        assert await missing(daemon, job) == []
        before = len(asked(world, "artifacts"))
        await daemon.sync()
        assert len(asked(world, "artifacts")) == before


async def test_nothing_at_all_is_a_publication_too(tmp_path):
    """With a manifest that says what was asked for; it is not asked for again and again."""
    world = World()
    job = finished(world)
    async with serve(world), rig(world, tmp_path, wants("*.exe", "sbom.json?")) as daemon:
        await daemon.sync()

        assert manifest(daemon).files == ()
        assert [item.name for item in manifest(daemon).transfer.items] == ["files:*.exe", "files/sbom.json"]
        assert (await daemon.transfer(job)).state is TransferState.PUBLISHED
        assert await missing(daemon, job) == []


@pytest.mark.parametrize(
    ("first", "then", "state"),
    [
        (["dist/*"], ["dist/*"], TransferState.PUBLISHED),
        (["dist/*"], ["dist/*", "README"], TransferState.WANTED),
        (["dist/*"], ["dist/*", "log/*"], TransferState.WANTED),
        (["dist/*"], ["README?"], TransferState.WANTED),
        (["README", "dist/*"], ["README"], TransferState.PUBLISHED),
        (["README", "no?"], ["README", "no?"], TransferState.PUBLISHED),
        (["README", "no?", "no/*"], ["README"], TransferState.PUBLISHED),
        (["README", "no?"], ["README", "no"], TransferState.WANTED),
        (["README?"], ["README"], TransferState.PUBLISHED),
        (["no"], ["no"], TransferState.FAILED),
        (["no"], ["no?"], TransferState.WANTED),
        (["no"], ["README"], TransferState.WANTED),
    ],
)
async def test_a_change_of_the_rule_is_taken_up_where_something_is_to_be_done(tmp_path, first, then, state):
    """What came, and what turned out not to be there, is not asked for again; what is new or needed now is."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants(*first)) as daemon:
            await daemon.sync()
        async with rig(world, tmp_path, wants(*then)) as daemon:
            owed = await missing(daemon, job)
            await take_up(daemon, job)

            assert (await daemon.transfer(job)).state is state
            assert bool(owed) is (state is not TransferState.PUBLISHED)


async def test_what_is_published_stays_beside_what_another_rule_adds(tmp_path):
    """A pattern's files are known to the state and the manifest also when the transfer grows."""
    world = World()
    job = finished(world)
    async with serve(world):
        async with rig(world, tmp_path, wants("dist/*")) as daemon:
            await daemon.sync()
        async with rig(world, tmp_path, wants("README", name="other")) as daemon:
            await take_up(daemon, job)
            await daemon.sync()

            assert published(daemon) == {"README": b"read", "dist/a.whl": b"wheel", "dist/b.whl": b"wheel b"}
            queued = await daemon.transfer(job)
            assert {file.name for file in queued.files} == {entry.name for entry in manifest(daemon).files}
            assert await daemon.store.has(queued.transfer.dest, queued.files)


async def test_a_missing_exact_file_ends_the_transfer(tmp_path):
    """As gone: nothing is published, and it is not tried again unchanged."""
    world = World()
    finished(world)
    async with serve(world), rig(world, tmp_path, wants("dist/*", "no/such")) as daemon:
        await daemon.sync()

        (ended,) = daemon.of(TransferEnded)
        assert (ended.outcome, ended.retry_at) == (Outcome.GONE, None)
        assert "has no file no/such" in ended.error
        assert not list((tmp_path / "store" / "tree").rglob("*"))


async def test_files_beside_the_archive(tmp_path):
    """Both are published, out of one download."""
    world = World()
    job = finished(world)
    async with serve(world), rig(world, tmp_path, wants("dist/*", archive=True)) as daemon:
        await daemon.sync()

        assert published(daemon) == {"dist/a.whl": b"wheel", "dist/b.whl": b"wheel b"}
        assert set(daemon.mirrored) == {job.id}
        assert len(asked(world, "artifacts")) == 1


async def test_a_pattern_that_matched_nothing_is_in_no_way_of_a_release(tmp_path):
    """The copy is whole: the archive and whatever else was asked for is here."""
    world = World(clock=SimClock.manual(datetime(2026, 3, 1, 12, tzinfo=UTC)))
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    spec = JobSpec("build", archive=small("x", FILES), expire_in=DAY)
    job = world.finish(world.add_pipeline(app, "main", [spec]).jobs[0])
    files = Fetch(archive=True, files=("dist/*", "no/*", "sbom.json?"))
    wanted = rule(fetch=files, keep=Keep(policy=KeepPolicy.ALWAYS, lead=timedelta(hours=2)))
    async with serve(world), rig(world, tmp_path, wanted, clock=clock) as daemon:
        clock.advance(DAY - timedelta(hours=1))
        await daemon.sync()
        project = await daemon.remote.project(app.id)
        found = await standing(project, job.id, remote=daemon.remote, state=daemon.state, copies=daemon.store)

        assert found.verified
        found.require_copy()

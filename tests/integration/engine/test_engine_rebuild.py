"""The state again from the store: everything as before, and nothing is downloaded again."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from artifact_sync.core.rules import Fetch, Publish, Rule
from artifact_sync.core.unpacking import Unpack
from artifact_sync.engine.rebuilding import Rebuilt, rebuild
from artifact_sync.errors import StateError
from artifact_sync.ports import QueuedTransfer, TransferState
from artifact_sync.simulator import World, serve
from artifact_sync.state import SqliteBuilder, SqliteState
from artifact_sync.store import LocalStore
from tests.integration.engine.engine_harness import asked, build, digests, mirrored, rig, rule, tree


async def rebuilt(path: Path, *, verify: bool = False) -> Rebuilt:
    """Rebuild the state below ``path`` from the store below it."""
    async with LocalStore.open(path / "store") as store, SqliteBuilder.open(path / "state.db") as builder:
        inspector = store.inspector() if verify else None
        return await rebuild(store, builder, owners={"store": store.identity}, inspector=inspector)


async def every(path: Path) -> dict[str, QueuedTransfer]:
    """What the state has, by destination."""
    async with SqliteState.open(path / "state.db") as state:
        return {queued.transfer.dest: queued async for queued in state.mirrored()}


def known(queued: QueuedTransfer) -> object:
    """All of a row that must come back: parts and numbers of rows mean nothing any more."""
    files = {
        file.name: (
            file.sha256,
            file.size,
            file.etag,
            file.source,
            file.path,
            file.executable,
            file.published,
            file.contents,
            file.provenance,
        )
        for file in queued.files
    }
    return queued.transfer, queued.state, files, queued.manifest_sha256, queued.published_at


def wide_rules() -> tuple[Rule, ...]:
    """Rules that bring everything that can be brought, two of them to one place."""
    only = Publish(path=rule(path="only/{project}/{job_id}").publish.path, unpack=Unpack.ONLY)
    also = Publish(path=rule(path="also/{project}/{job_id}").publish.path, unpack=Unpack.ALSO)
    return (
        rule(name="plain", fetch=Fetch(trace=True)),
        rule(name="files", fetch=Fetch(files=("**/*.txt", "none/**", "missing.bin?"))),
        Rule(name="only", projects=rule().projects, publish=only, keep=rule().keep),
        Rule(name="also", projects=rule().projects, publish=also, keep=rule().keep),
    )


@pytest.mark.parametrize("verify", [False, True])
async def test_everything_is_as_before(tmp_path, verify):
    """Same rows from manifests alone; the next pass lists, and downloads nothing."""
    world = World()
    app = world.add_project("acme/app")
    jobs = [job for _ in range(3) for job in build(world, app, "build", "pack:age").jobs]
    rules = wide_rules()
    async with serve(world):
        async with rig(world, tmp_path, *rules) as daemon:
            assert (await daemon.sync()).complete
        before, files = await every(tmp_path), tree(tmp_path / "store" / "tree")
        assert len(before) == 18
        (tmp_path / "state.db").unlink()
        done = await rebuilt(tmp_path, verify=verify)
        assert (done.publications, done.damaged, done.strange, done.kept) == (18, 0, [], ())
        after = await every(tmp_path)
        assert {dest: known(queued) for dest, queued in after.items()} == {
            dest: known(queued) for dest, queued in before.items()
        }
        assert tree(tmp_path / "store" / "tree") == files
        world.requests.clear()
        async with rig(world, tmp_path, *rules) as daemon:
            assert (await daemon.sync()).complete
            assert (await daemon.state.summary()).by_state[TransferState.PUBLISHED] == 18
        assert asked(world, "/artifacts|/trace") == []
        assert tree(tmp_path / "store" / "tree") == files
        new = build(world, app, "build").jobs
        async with rig(world, tmp_path, *rules) as daemon:
            assert (await daemon.sync()).complete
        assert set(digests(jobs + list(new)).values()) == set(mirrored(tmp_path).values())


async def test_the_old_state_is_kept_with_its_log(tmp_path):
    """Under a name that is told, log and all, so that nothing of it is taken for the new one's."""
    world = World()
    build(world, world.add_project("acme/app"), "build")
    async with serve(world):
        async with rig(world, tmp_path, rule()) as daemon:
            await daemon.sync()
            # As a killed daemon leaves it.
            for name in ("state.db", "state.db-wal"):
                shutil.copy(tmp_path / name, tmp_path / f"killed-{name}")
        for name in ("state.db", "state.db-wal"):
            (tmp_path / f"killed-{name}").rename(tmp_path / name)
        log = (tmp_path / "state.db-wal").read_bytes()
        done = await rebuilt(tmp_path)
        (kept,) = done.kept
        assert (tmp_path / f"{kept}-wal").read_bytes() == log
        assert {path.name for path in tmp_path.iterdir()} == {"state.db", "store", kept, f"{kept}-wal"}
        with closing(sqlite3.connect(tmp_path / kept)) as old:
            assert old.execute("SELECT count(*) FROM project").fetchone() == (1,)
        with closing(sqlite3.connect(tmp_path / "state.db")) as new:
            assert new.execute("SELECT count(*) FROM project").fetchone() == (0,)
            assert new.execute("SELECT count(*) FROM transfer").fetchone() == (1,)


async def test_what_is_not_whole_is_wanted_again(tmp_path):
    """By size, and with --verify by hash; the next pass fetches these alone."""
    world = World()
    jobs = build(world, world.add_project("acme/app"), "a", "b", "c").jobs
    async with serve(world):
        async with rig(world, tmp_path, rule()) as daemon:
            await daemon.sync()
        paths = {int(path.parent.name): path for path in (tmp_path / "store" / "tree").rglob("artifacts.zip")}
        paths[jobs[0].id].unlink()
        paths[jobs[1].id].chmod(0o600)
        paths[jobs[1].id].write_bytes(bytes(paths[jobs[1].id].stat().st_size))
        assert (await rebuilt(tmp_path)).damaged == 1
        assert (await rebuilt(tmp_path, verify=True)).damaged == 2
        states = {queued.transfer.job.id: queued.state for queued in (await every(tmp_path)).values()}
        assert [states[job.id] for job in jobs] == [TransferState.LOST, TransferState.LOST, TransferState.PUBLISHED]
        world.requests.clear()
        async with rig(world, tmp_path, rule()) as daemon:
            assert (await daemon.sync()).complete
        assert {int(seen.path.split("/")[-2]) for seen in asked(world, "/artifacts$")} == {jobs[0].id, jobs[1].id}
        assert mirrored(tmp_path) == digests(jobs)


def plant(top: Path, name: str, content: str | bytes | None = None) -> Path:
    """A folder in the tree with this for its manifest, if anything."""
    folder = top / os.fsdecode(name.encode("utf-8", "surrogateescape"))
    folder.mkdir(parents=True)
    path = folder / ".artifact-sync.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def plant_manifests(top: Path, text: str) -> None:
    """Manifests that are none, or of something else."""
    manifest = json.loads(text)

    def changed(name: str, **fields: object) -> None:
        transfer = {"transfer": manifest["transfer"] | {"dest": name}}
        for field in fields.keys() & {"project_id"}:
            transfer["transfer"][field] = fields.pop(field)
        plant(top, name, json.dumps(manifest | transfer | fields))

    plant(top, "copied", text)
    plant(top, "two\nlines", text)
    plant(top, "\udcff", text)
    plant(top, "empty", b"")
    plant(top, "none", b"\xff\xfe")
    plant(top, "deep", b"[" * 200_000)
    plant(top, "newer", text.replace('"version": 1', '"version": 2'))
    changed("planted/large", project_id=2**70, project={"id": 2**70, "path": "x"})
    changed("planted/other", project={"id": 77, "path": "x"})
    changed("planted/out", files=[entry | {"name": "../../outside/artifacts.zip"} for entry in manifest["files"]])


async def test_a_hostile_tree(tmp_path):
    """What cannot be a publication is told and left alone; links are not followed, and nothing of it keeps the rest back."""
    world = World()
    jobs = build(world, world.add_project("acme/app"), "a", "b").jobs
    async with serve(world):
        async with rig(world, tmp_path, rule()) as daemon:
            await daemon.sync()
        top = tmp_path / "store" / "tree"
        good = next(top.rglob(f"{jobs[0].id}"))
        shutil.copytree(good, tmp_path / "outside")
        (top / "link").symlink_to(tmp_path / "outside")
        (top / "circle").symlink_to("..")
        plant_manifests(top, (good / ".artifact-sync.json").read_text())
        plant(top, "linked").symlink_to(good / ".artifact-sync.json")
        os.mkfifo(plant(top, "pipe"))
        with plant(top, "huge").open("wb") as stream:
            stream.truncate(1 << 40)
        plant(top, "/".join(["n"] * 300))
        before = tree(top)
        done = await rebuilt(tmp_path, verify=True)
        assert (done.publications, done.damaged) == (2, 0)
        left = {strange.path: strange.reason for strange in done.strange}
        assert len(left) == done.left_out == 14
        assert "was copied or moved here" in left["copied"]
        assert {"two\nlines", "\\xff"} <= left.keys()
        assert "version 2" in left["newer"]
        assert "more than any" in left["huge"]
        assert "number that cannot be" in left["planted/large"]
        assert "names two jobs" in left["planted/other"]
        assert tree(top) == before
        async with rig(world, tmp_path, rule()) as daemon:
            assert (await daemon.sync()).complete
        assert len(await every(tmp_path)) == 2


async def test_two_publications_of_one_place(tmp_path):
    """On a filesystem with case they can stand side by side; the state has one of them, and the other is told."""
    world = World()
    (job,) = build(world, world.add_project("acme/app"), "a").jobs
    async with serve(world), rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    top = tmp_path / "store" / "tree"
    good = next(top.rglob(f"{job.id}"))
    other = top / "ACME" / good.relative_to(top / "acme")
    shutil.copytree(good, other)
    path = other / ".artifact-sync.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"dest": "acme/', '"dest": "ACME/'))
    done = await rebuilt(tmp_path)
    assert (done.publications, done.left_out) == (1, 1)
    assert "has this place already" in done.strange[0].reason


async def test_an_unfinished_rebuild_leaves_the_old_state(tmp_path):
    """An error half-way: the old one is untouched, and nothing lies beside it."""
    (tmp_path / "state.db").write_bytes(b"damaged")
    async with LocalStore.open(tmp_path / "store"):
        pass
    with pytest.raises(StateError):
        async with SqliteBuilder.open(tmp_path / "state.db"):
            raise StateError("half-way", hint="")
    assert (tmp_path / "state.db").read_bytes() == b"damaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.db", "store"]

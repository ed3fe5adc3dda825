"""`artifact-sync keeps` as a process: the ledger, and a keep that is given up again."""

import json
import signal
from functools import partial

import pytest
from anyio import to_thread

from artifact_sync.simulator import SimJob
from artifact_sync.simulator.tokens import DEVELOPER, MAINTAINER
from tests.acceptance.harness import on_a_terminal, started, wait_for
from tests.acceptance.living import HOUR, Place, place

ALWAYS = "keep: {policy: always}"


@pytest.fixture
async def scene(tmp_path):
    """A job of long ago, and two that are in the second half of their hour: mirrored, and kept in GitLab."""
    async with place(tmp_path, rule=ALWAYS, role=MAINTAINER) as made:
        made.build("old", ago=2 * HOUR)
        made.build("first", "second", ago=0.6 * HOUR, expire_in=HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        assert len(made.asked("POST", "/keep")) == 2
        yield made


def job(scene: Place, name: str) -> SimJob:
    return next(job for job in scene.world.jobs.values() if job.name == name)


async def ledger(scene: Place, *words: str) -> list[dict[str, object]]:
    """The ledger as JSON."""
    found: list[dict[str, object]] = json.loads((await scene.run("keeps", "--json", *words)).out)["keeps"]
    return found


async def test_the_ledger(scene: Place):
    """A line for each keep: when, what came of it, the job, the rule, why, and the expiry that it would have had."""
    ran = await scene.run("keeps")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len(lines) == 2
    assert all("  kept         acme/app " in line for line in lines)
    assert all("rule all: the rule always keeps, would have expired 20" in line for line in lines)
    entries = await ledger(scene)
    assert {entry["job_name"] for entry in entries} == {"first", "second"}


async def test_a_part_of_the_ledger(scene: Place):
    """--project by path or number, and --limit, which says that there is more."""
    assert len(await ledger(scene, "--project", "acme/app")) == len(await ledger(scene, "--project", "1")) == 2
    assert await ledger(scene, "--project", "acme/ap") == []
    limited = await scene.run("keeps", "--limit", "1")
    assert len(limited.out.splitlines()) == 2
    assert "Older ones are left out" in limited.out


async def test_a_release_without_deletion(scene: Place):
    """GitLab goes on keeping it, which is said; the ledger has it, and no pass keeps it again."""
    first = job(scene, "first")
    ran = await scene.run("keeps", "release", "acme/app", str(first.id))
    assert (ran.code, ran.err) == (0, "")
    assert "verified: every file is there by its checksum" in ran.out
    assert "GitLab has no way to take a keep back" in ran.out
    assert first.archive is not None
    assert scene.asked("DELETE", "/artifacts") == []
    newest, *older = await ledger(scene)
    assert [entry["result"] for entry in older] == ["kept", "kept"]
    assert (newest["result"], newest["job_id"], newest["detail"]) == ("released", first.id, "GitLab goes on keeping it")
    await scene.run("sync", "--strict")
    assert len(scene.asked("POST", "/keep")) == 2


async def test_a_release_with_deletion_beside_the_daemon(scene: Place):
    """With a verified copy the artifacts are deleted in GitLab, while the daemon has the lock; the copy stays."""
    first = job(scene, "first")
    url = f"{scene.world.url}/acme/app/-/jobs/{first.id}"
    with started("run", cwd=scene.folder) as daemon:
        await to_thread.run_sync(wait_for, daemon, "project.found")
        ran = await scene.run("keeps", "release", url, "--delete-remote", "--yes", "--json")
        daemon.send_signal(signal.SIGTERM)
        await to_thread.run_sync(daemon.communicate)
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told["verified"] is True
    assert told["released"]["detail"] == "its artifacts were deleted in GitLab"
    assert first.archive is None
    assert job(scene, "second").archive is not None
    assert first.id in scene.mirrored
    assert (await scene.run("sync", "--strict")).code == 0


@pytest.mark.parametrize("harm", ["changed", "removed", "unmounted", "another store"])
async def test_no_deletion_without_a_verified_copy(scene: Place, harm: str):
    """A copy that is changed, removed or out of sight: 5 with the reason, nothing is deleted, the ledger stays."""
    first = job(scene, "first")
    store = scene.folder / "mirror"
    (published,) = (path for path in (store / "tree").rglob("artifacts.zip") if path.parent.name == str(first.id))
    if harm == "changed":
        content = bytearray(published.read_bytes())
        content[100] ^= 1
        published.chmod(0o644)
        published.write_bytes(content)
    elif harm == "removed":
        published.unlink()
    elif harm == "unmounted":
        store.rename(scene.folder / "elsewhere")
    else:
        (store / ".id").chmod(0o644)
        (store / ".id").write_text("0" * 32)
    ran = await scene.run("keeps", "release", "acme/app", str(first.id), "--delete-remote", "--yes")
    assert ran.code == 5
    assert "NOT VERIFIED" in ran.out
    assert f"acme/app/main/first/{first.id} in the store is not what was mirrored" in ran.err
    assert "hint: Nothing was deleted" in ran.err
    assert first.archive is not None
    assert scene.asked("DELETE", "/artifacts") == []
    assert len(await ledger(scene)) == 2


async def test_no_deletion_of_what_is_mirrored_in_part(tmp_path):
    """A rule that fetches the log alone is no copy of the archive that GitLab would delete."""
    async with place(tmp_path, rule=f"{ALWAYS}, fetch: {{archive: false, trace: true}}", role=MAINTAINER) as made:
        (first,) = made.build("first", ago=0.6 * HOUR, expire_in=HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        ran = await made.run("keeps", "release", "acme/app", str(first.id), "--delete-remote", "--yes")
    assert ran.code == 5
    assert "only single files of acme/app first" in ran.err
    assert first.archive is not None


async def test_only_what_was_kept_can_be_released(scene: Place):
    """A job that the ledger does not know: 2, and nothing is asked of GitLab but its project."""
    old = job(scene, "old")
    ran = await scene.run("keeps", "release", "acme/app", str(old.id), "--delete-remote", "--yes")
    assert ran.code == 2
    assert "the ledger has no keep" in ran.err
    assert old.archive is not None


async def test_a_deletion_is_confirmed(scene: Place):
    """Without a terminal, --yes is asked for before anything is looked at."""
    ran = await scene.run("keeps", "release", "acme/app", str(job(scene, "first").id), "--delete-remote")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert len(await ledger(scene)) == 2


@pytest.mark.parametrize(("answer", "code", "deleted"), [("n", 1, False), ("y", 0, True)])
async def test_a_person_is_asked(scene: Place, answer: str, code: int, deleted: bool):
    """On a terminal it shows what stands where, and deletes only after a yes."""
    first = job(scene, "first")
    words = ("keeps", "release", "acme/app", str(first.id), "--delete-remote")
    ended, out = await to_thread.run_sync(partial(on_a_terminal, *words, cwd=scene.folder, answers=f"{answer}\n"))
    assert ended == code
    assert out.index("verified: every file is there") < out.index("Delete its artifacts in GitLab?")
    assert (first.archive is None) is deleted


async def test_a_deletion_that_gitlab_refuses(tmp_path):
    """403: 1 with the reason, the artifacts stay, and the ledger says what was tried."""
    async with place(tmp_path, rule=ALWAYS, role=DEVELOPER) as made:
        (first,) = made.build("first", ago=0.6 * HOUR, expire_in=HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        ran = await made.run("keeps", "release", "acme/app", str(first.id), "--delete-remote", "--yes")
        assert ran.code == 1
        assert "403" in ran.err
        newest = (await ledger(made))[0]
    assert newest["result"] == "failed"
    assert str(newest["detail"]).startswith("its artifacts were to be deleted in GitLab: ")
    assert first.archive is not None


async def test_an_empty_ledger(tmp_path):
    """Nothing kept so far is said, and is no error; nothing is made by looking."""
    async with place(tmp_path) as made:
        ran = await made.run("keeps")
    assert (ran.code, ran.out) == (0, "The ledger is empty: nothing was kept in GitLab.\n")
    assert not (tmp_path / "artifact-sync.db").exists()

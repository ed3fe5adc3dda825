"""`ls`, `get` and `verify` as processes: what is mirrored is found, copied out proved, and read again beside the daemon."""

import hashlib
import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from anyio import to_thread

from artifact_sync.simulator import JobSpec, SimJob, small
from tests.acceptance.harness import on_a_terminal, started, wait_for
from tests.acceptance.living import HOUR, Place, place

EARLY = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
async def scene(tmp_path):
    """Six jobs, the newest last, all mirrored with archive and files."""
    async with place(tmp_path, rule="fetch: {archive: true, files: ['**']}", more="poll: {interval: 1s}\n") as made:
        for number in range(3):
            made.build("build", "pack:age", ago=(4 - number) * HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        yield made


def stored(scene: Place, job: SimJob, name: str = "artifacts.zip") -> Path:
    """A published file."""
    (path,) = (scene.folder / "mirror" / "tree").rglob(f"{job.id}/{name}")
    return path


def spoil(path: Path) -> None:
    """Other bytes, as many."""
    path.chmod(0o600)
    path.write_bytes(bytes(path.stat().st_size))


async def test_ls(scene: Place):
    """A line each, newest end first; what is asked for alone; objects for programs."""
    ran = await scene.run("ls")
    assert (ran.code, ran.err) == (0, "")
    dests = [line.split()[-1] for line in ran.out.splitlines()]
    shown = [scene.world.jobs[int(dest.rpartition("/")[2])] for dest in dests]
    newest_first = sorted(scene.world.jobs.values(), key=lambda job: job.finished_at or EARLY, reverse=True)
    assert [job.finished_at for job in shown] == [job.finished_at for job in newest_first]
    assert {job.id for job in shown} == scene.world.jobs.keys()
    assert "acme/app/main/pack%3Aage/" in ran.out
    builds = [job.id for job in newest_first if job.name == "build"]
    for words in (["--job", "b*"], ["acme/app/main/build"], ["acme/app/main/build/"], ["acme/*/*/build/*"]):
        out = (await scene.run("ls", *words)).out
        assert [int(line.rpartition("/")[2]) for line in out.splitlines()] == builds, words
    objects = [json.loads(line) for line in (await scene.run("ls", "--json", "--job", "build")).out.splitlines()]
    assert [each["job_id"] for each in objects] == builds
    for each in objects:
        named = {file["name"]: file for file in each["files"]}
        path = stored(scene, scene.world.jobs[each["job_id"]])
        assert named["artifacts.zip"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for words in (["--rule", "none"], ["--project", "acme/none"], ["--project", "!acme/app"], ["elsewhere"]):
        assert "Nothing that was asked for" in (await scene.run("ls", *words)).out, words
    assert len((await scene.run("ls", "--limit", "2", "--project", "1", "--ref", "main")).out.splitlines()) == 2


async def test_get(scene: Place):
    """By folder, by address and by names; all files or some; never over what is there."""
    jobs = sorted(scene.world.jobs.values(), key=lambda job: job.id)
    newest = [job for job in jobs if job.name == "pack:age"][-1]
    url = f"{scene.world.url}/acme/app/-/jobs/{newest.id}"
    for number, words in enumerate(
        ([f"acme/app/main/pack%3Aage/{newest.id}"], [url], ["acme/app", "main", "pack:age"])
    ):
        into = scene.folder / f"out{number}"
        ran = await scene.run("get", *words, "--into", into)
        assert (ran.code, ran.err) == (0, ""), words
        there = {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}
        tree = stored(scene, newest).parent
        names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
        assert there.keys() == names - {"SHA256SUMS", ".artifact-sync.json"}
        assert there == {name: (tree / name).read_bytes() for name in there}
    into = scene.folder / "some"
    ran = await scene.run("get", url, "artifacts.zip", "files/**/*.txt", "--into", into, "--json")
    told = json.loads(ran.out)
    assert {file["name"] for file in told["files"]} > {"artifacts.zip"}
    assert all(file["name"] == "artifacts.zip" or file["name"].endswith(".txt") for file in told["files"])
    (into / "artifacts.zip").write_text("mine")
    ran = await scene.run("get", url, "artifacts.zip", "--into", into)
    assert (ran.code, (into / "artifacts.zip").read_text()) == (2, "mine")
    assert (await scene.run("get", url, "artifacts.zip", "--into", into, "--force")).code == 0
    assert (into / "artifacts.zip").read_bytes() == stored(scene, newest).read_bytes()
    for words in (["acme/none"], ["acme/app", "main", "none"], [url, "none.txt"], [f"{url}0"]):
        ran = await scene.run("get", *words, "--into", scene.folder / "never")
        assert ran.code == 5, words
        assert "hint: " in ran.err
    assert not (scene.folder / "never").exists()


async def test_get_hands_out_nothing_damaged(scene: Place):
    """One damaged file: 4, and nothing appears, not even what is good; a link is not followed either."""
    job = next(iter(scene.world.jobs.values()))
    path = stored(scene, job)
    dest = str(path.parent.relative_to(scene.folder / "mirror" / "tree"))
    spoil(path)
    into = scene.folder / "out"
    ran = await scene.run("get", dest, "--into", into)
    assert ran.code == 4
    assert "not as it was published" in ran.err
    assert "verify --repair" in ran.err
    assert [each for each in into.rglob("*") if each.is_file()] == []
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert (await scene.run("get", dest, "artifacts.zip", "--into", into)).code == 4
    assert [each for each in into.rglob("*") if each.is_file()] == []


async def test_verify_beside_the_daemon(scene: Place):
    """It needs no lock, and changes nothing; 4 with the names; --repair is refused, and does it once the daemon is gone."""
    job, other = list(scene.world.jobs.values())[:2]
    with started("run", cwd=scene.folder) as daemon:
        await to_thread.run_sync(wait_for, daemon, "project.found")
        ran = await scene.run("verify")
        assert (ran.code, ran.err) == (0, "")
        assert "Verified 6 publications" in ran.out
        spoil(stored(scene, job))
        spoil(stored(scene, other, "SHA256SUMS"))
        ran = await scene.run("verify", "--json")
        told = [json.loads(line) for line in ran.out.splitlines()]
        assert ran.code == 4
        assert {event["job_id"] for event in told if event["event"] == "damaged"} == {job.id, other.id}
        assert (told[-1]["damaged"], told[-1]["publications"]) == (2, 6)
        ran = await scene.run("verify", "--repair")
        assert (ran.code, f"process {daemon.pid}" in ran.err) == (4, True)
        assert (await scene.run("verify")).code == 4
        daemon.send_signal(signal.SIGTERM)
        await to_thread.run_sync(daemon.communicate)
    ran = await scene.run("verify", "--repair")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1].endswith("2 damaged. 1 mended from good copies, 1 fetched again.")
    assert (await scene.run("verify")).code == 0
    assert "2 damaged so far" in (await scene.run("status")).out


async def test_parts_of_the_whole(scene: Place):
    """Each publication is in one of t parts, the same each time; what is no part is refused."""
    counts = []
    for number in (1, 2, 3):
        summaries = [json.loads((await scene.run("verify", "--json", "--subset", f"{number}/3")).out) for _ in range(2)]
        assert summaries[0]["publications"] == summaries[1]["publications"]
        counts.append(summaries[0]["publications"])
    assert sum(counts) == 6
    for wrong in ("0/3", "4/3", "3", "a/b"):
        assert (await scene.run("verify", "--subset", wrong)).code == 2


async def test_what_cannot_be_repaired(scene: Place):
    """GitLab has it no more: 1, named with the cure; what is damaged is not there any more."""
    job = next(iter(scene.world.jobs.values()))
    spoil(stored(scene, job))
    scene.world.erase(job)
    ran = await scene.run("verify", "--repair", "acme/app/main/build")
    assert ran.code == 1
    assert "put the file back from a backup" in ran.out
    assert "1 not repaired" in ran.out.lower()
    assert list((scene.folder / "mirror" / "tree").rglob(f"{job.id}/artifacts.zip")) == []
    assert (await scene.run("verify")).code == 4


async def test_on_a_terminal(scene: Place):
    """Bars for what is read and what is fetched, and the same words at the end."""
    spoil(stored(scene, next(iter(scene.world.jobs.values()))))
    code, out = await to_thread.run_sync(lambda: on_a_terminal("verify", "--repair", cwd=scene.folder))
    assert code == 0, out
    assert "verified 6 publications" in out
    assert "fetched again" in out


async def test_hostile_names_stay_one_line(scene: Place):
    """A job's name that breaks lines is told in one; its folder is found by its encoded name."""
    world = scene.world
    spec = JobSpec("two\nlines", archive=small("x"))
    job = world.finish(world.add_pipeline(world.projects[1], "main", [spec]).jobs[0])
    assert (await scene.run("sync", "--strict")).code == 0
    (line,) = (await scene.run("ls", "--job", "two*")).out.splitlines()
    assert line.endswith(f"acme/app/main/two%0Alines/{job.id}")
    assert (await scene.run("get", "acme/app", "main", "two\nlines", "--into", scene.folder / "o")).code == 0

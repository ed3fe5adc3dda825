"""`artifact-sync job` as a process: single jobs looked at, downloaded and acted on."""

import hashlib
import json
import signal

import pytest
from anyio import sleep, to_thread

from artifact_sync.simulator import Delivery, JobSpec, SimJob, SimToken, small
from artifact_sync.simulator import faults as happens
from artifact_sync.simulator.archives import big, raw
from artifact_sync.simulator.faults import Fault
from artifact_sync.simulator.tokens import DEVELOPER
from tests.acceptance.harness import TOKEN, on_a_terminal, started
from tests.acceptance.living import HOUR, Place, place

READER = "glpat-acceptance-reads-alone"
JOB_TOKEN = "glcbt-acceptance-job-token"


@pytest.fixture
async def scene(tmp_path):
    """A project with a configuration; what a test needs of jobs it makes itself."""
    async with place(tmp_path) as made:
        yield made


def archive(job: SimJob) -> bytes:
    assert job.spec.archive is not None
    data = job.spec.archive.content.data
    assert data is not None
    return data


def add(scene: Place, *specs: JobSpec, ref: str = "main") -> list[SimJob]:
    return scene.world.add_pipeline(scene.world.projects[1], ref, list(specs)).jobs


def left(scene: Place) -> list[str]:
    """What lies in the folder beside the configuration."""
    return sorted(path.name for path in scene.folder.iterdir() if path.name != "artifact-sync.yaml")


async def test_list(scene: Place):
    """Newest first, a line each; by status, by pipeline, no more than --limit; the same as JSON."""
    build, test = scene.build("build", "test", ago=HOUR)
    again = scene.world.retry(build)
    ran = await scene.run("job", "list", "acme/app")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split("#")[1].split()[0] for line in ran.out.splitlines()] == [
        str(again.id),
        str(test.id),
        str(build.id),
    ]
    some = await scene.run("job", "list", "1", "--status", "success", "--limit", "1")
    assert f"main test #{test.id}" in some.out
    assert "Older ones are left out: --limit 10" in some.out
    pipeline = ("job", "list", "1", "--pipeline", str(build.pipeline.id), "--json")
    found = json.loads((await scene.run(*pipeline)).out)["jobs"]
    assert [job["id"] for job in found] == [again.id, test.id]
    found = json.loads((await scene.run(*pipeline, "--retried")).out)["jobs"]
    assert [job["id"] for job in found] == [again.id, test.id, build.id]


async def test_a_status_that_is_none(scene: Place):
    """1, GitLab's words, and what could be written."""
    ran = await scene.run("job", "list", "acme/app", "--status", "tea")
    assert ran.code == 1
    assert "scope does not have a valid value" in ran.err
    assert "waiting_for_resource" in ran.err


async def test_bridges(scene: Place):
    """Trigger jobs, with what they started."""
    (build,) = scene.build("build")
    child = scene.world.add_pipeline(build.project, "main", [JobSpec("inner")], parent=build.pipeline)
    ran = await scene.run("job", "bridges", "acme/app", str(build.pipeline.id))
    assert f"started pipeline {child.id} of project 1 ({child.status})" in ran.out
    found = json.loads((await scene.run("job", "bridges", "1", str(build.pipeline.id), "--json")).out)
    assert found["trigger_jobs"][0]["downstream_pipeline"]["id"] == child.id


async def test_show(scene: Place):
    """By address, with what is in the archive."""
    (build,) = scene.build("build", ago=HOUR)
    ran = await scene.run("job", "show", f"{scene.world.url}/acme/app/-/jobs/{build.id}", "--files")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"main build #{build.id}: success\n")
    assert "dist/app" in ran.out
    found = json.loads((await scene.run("job", "show", "acme/app", str(build.id), "--files", "--json")).out)
    assert (found["id"], found["user"]["username"]) == (build.id, "mirror-bot")
    assert {"path": "VERSION", "type": "file"}.items() <= found["files"][-2].items()


async def test_download(scene: Place):
    """The archive as GitLab has it, readable as the umask says, nothing beside it; what stands there is not replaced."""
    (build,) = scene.build("build")
    ran = await scene.run("job", "download", "acme/app", str(build.id))
    assert (ran.code, ran.err) == (0, "")
    assert hashlib.sha256(archive(build)).hexdigest() in ran.out
    assert "7 files with the right CRC, as GitLab has it" in ran.out
    target = scene.folder / "artifacts.zip"
    assert target.read_bytes() == archive(build)
    assert left(scene) == ["artifacts.zip"]
    target.write_bytes(b"mine")
    again = await scene.run("job", "download", "acme/app", str(build.id))
    assert again.code == 2
    assert "artifacts.zip is there already" in again.err
    assert target.read_bytes() == b"mine"
    forced = await scene.run("job", "download", "acme/app", str(build.id), "--force", "--json")
    assert json.loads(forced.out)["compared"] is True
    assert target.read_bytes() == archive(build)


@pytest.mark.parametrize("delivery", [Delivery.REDIRECT, Delivery.PROXIED])
async def test_download_from_an_object_store(scene: Place, delivery: Delivery):
    """Redirected or passed through; the token goes to GitLab alone."""
    scene.world.delivery = delivery
    (build,) = scene.build("build")
    ran = await scene.run("job", "download", "acme/app", str(build.id), "-o", "x.zip")
    assert (ran.code, ran.err) == (0, "")
    assert (scene.folder / "x.zip").read_bytes() == archive(build)
    assert not [seen for seen in scene.world.requests if seen.origin == "storage" and TOKEN in repr(seen.headers)]


async def test_download_by_ref(scene: Place):
    """The job of the newest successful pipeline; --recent looks further back where that has none."""
    (build,) = scene.build("build")
    words = ("job", "download", "acme/app", "--ref", "main", "--job", "build", "-o", "x.zip", "--force")
    assert (await scene.run(*words)).code == 0
    assert (scene.folder / "x.zip").read_bytes() == archive(build)
    scene.build("lint")
    ran = await scene.run(*words)
    assert ran.code == 1
    assert "has no job build with an archive: --recent looks further back" in ran.err
    assert (await scene.run(*words, "--recent")).code == 0


async def test_a_download_that_broke_goes_on(scene: Place):
    """The rest is asked for at once, where the connection broke."""
    (job,) = add(scene, JobSpec("large", archive=big(3 << 20, seed=1)))
    scene.world.finish(job)
    scene.world.faults.add(Fault(action=happens.Cut(after=2 << 20), path="artifacts"))
    ran = await scene.run("job", "download", "acme/app", str(job.id))
    assert (ran.code, ran.err) == (0, "")
    assert (scene.folder / "artifacts.zip").read_bytes() == archive(job)
    first, second = (seen.headers.get("Range") for seen in scene.world.requests if seen.path.endswith("/artifacts"))
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 1 << 20


async def test_a_download_that_was_stopped_goes_on(scene: Place):
    """SIGINT leaves a part; the next call asks for the rest alone, and proves all of it."""
    (job,) = add(scene, JobSpec("large", archive=big(3 << 20, seed=1)))
    scene.world.finish(job)
    scene.world.faults.add(Fault(action=happens.Stall(seconds=60, after=2 << 20), path="artifacts"))
    with started("job", "download", "acme/app", str(job.id), cwd=scene.folder) as process:
        part = scene.folder / "artifacts.zip.part"
        for _ in range(600):
            if part.exists() and part.stat().st_size >= 1 << 20:
                break
            await sleep(0.05)
        process.send_signal(signal.SIGINT)
        await to_thread.run_sync(process.communicate)
        assert process.returncode == 130
    assert left(scene) == ["artifacts.zip.part", "artifacts.zip.part.json"]
    assert TOKEN not in (scene.folder / "artifacts.zip.part.json").read_text()
    had = part.stat().st_size
    ran = await scene.run("job", "download", "acme/app", str(job.id))
    assert (ran.code, ran.err) == (0, "")
    assert (scene.folder / "artifacts.zip").read_bytes() == archive(job)
    assert left(scene) == ["artifacts.zip"]
    ranges = [seen.headers.get("Range") for seen in scene.world.requests if seen.path.endswith("/artifacts")]
    assert ranges == [None, f"bytes={had}-"]


@pytest.mark.parametrize("harm", ["cut off", "a login page", "a wrong CRC", "another checksum"])
async def test_nothing_wrong_becomes_a_file(scene: Place, harm: str):
    """An archive that is none ends with 1, also where it goes to standard output, and nothing is left."""
    good = archive(scene.build("build")[0])
    bad = {
        "another checksum": good,
        "cut off": good[:-30],
        "a login page": b"<html>Sign in</html>",
        "a wrong CRC": good[:900] + b"\0" + good[901:],
    }
    (job,) = add(scene, JobSpec("bad", archive=raw(bad[harm])))
    scene.world.finish(job)
    if harm == "another checksum":
        answer = happens.Answer(
            status=200, body=good, content_type="application/zip", headers={"ETag": f'"{"0" * 64}"'}
        )
        scene.world.faults.add(Fault(action=answer, path=f"{job.id}/artifacts", times=None))
    ran = await scene.run("job", "download", "acme/app", str(job.id))
    piped = await scene.run("job", "download", "acme/app", str(job.id), "-o", "-")
    assert (ran.code, piped.code, piped.out) == (1, 1, "")
    assert "hint: " in ran.err
    assert left(scene) == []


async def test_standard_output_gets_the_bytes(scene: Place):
    """A file's and a log's, as they are; an archive is refused by a terminal, and a log is made harmless for it."""
    log = "\x1b[32mgreen\x1b[0m\x1b]0;title\x07 plain\n"
    (job,) = add(scene, JobSpec("build", archive=small("build"), trace=log))
    scene.world.finish(job)
    names = ("acme/app", str(job.id))
    assert (await scene.run("job", "file", *names, "VERSION", "-o", "-")).out == "build\n"
    assert (await scene.run("job", "trace", *names)).out == log
    code, seen = await to_thread.run_sync(lambda: on_a_terminal("job", "trace", *names, cwd=scene.folder))
    assert (code, "title" in seen) == (0, False)
    assert seen.endswith("\x1b[32mgreen\x1b[0m plain\r\n")
    code, seen = await to_thread.run_sync(lambda: on_a_terminal("job", "download", *names, "-o", "-", cwd=scene.folder))
    assert (code, "no text for a terminal" in seen) == (2, True)


async def test_one_file(scene: Place):
    """Under its last name; one that is not there is told, with what to do."""
    (build,) = scene.build("build")
    ran = await scene.run("job", "file", "acme/app", str(build.id), "reports/test log.txt")
    assert (ran.code, ran.err) == (0, "")
    assert (scene.folder / "test log.txt").read_text().startswith("test 0 of build")
    missing = await scene.run("job", "file", "acme/app", str(build.id), "dist/nothing")
    assert missing.code == 1
    assert "job show JOB --files" in missing.err
    by_ref = ("job", "file", "acme/app", "VERSION", "--ref", "main", "--job", "build", "-o", "-")
    assert (await scene.run(*by_ref)).out == "build 0\n"


async def test_a_report(scene: Place):
    """By its type, from a server that gives it out; an older one sends the archive instead, which is noticed."""
    (job,) = add(scene, JobSpec("test", archive=small("test"), reports=("junit",)))
    scene.world.finish(job)
    words = ("job", "download", "acme/app", str(job.id), "--type", "junit")
    older = await scene.run(*words)
    assert older.code == 1
    assert left(scene) == []
    scene.world.report_downloads = True
    assert (await scene.run(*words)).code == 0
    assert (scene.folder / "junit").read_bytes() == job.report("junit")


async def test_writes_need_yes_where_nobody_can_be_asked(scene: Place):
    """2 with the reason, and GitLab is asked nothing; on a terminal no is no, and yes is yes."""
    (build,) = scene.build("build")
    for verb in ("keep", "cancel", "retry", "play", "erase", "delete-artifacts"):
        ran = await scene.run("job", verb, "acme/app", str(build.id))
        assert (ran.code, "--yes" in ran.err) == (2, True), verb
    assert list(scene.world.requests) == []

    def answered(text: str) -> tuple[int, str]:
        return on_a_terminal("job", "keep", "acme/app", str(build.id), cwd=scene.folder, answers=text)

    code, seen = await to_thread.run_sync(answered, "n\n")
    assert (code, "Nothing was changed." in seen, build.kept_at) == (1, True, None)
    code, seen = await to_thread.run_sync(answered, "y\n")
    assert (code, "Kept; it would have expired" in seen, build.expire_at) == (0, True, None)


async def test_cancel_retry_play(scene: Place):
    """Each done once, and said; what it had no effect on is said as well."""
    (runs, waits) = add(scene, JobSpec("long", "a"), JobSpec("deploy", "b", when="manual"))
    scene.world.start(runs)
    canceled = await scene.run("job", "cancel", "acme/app", str(runs.id), "--yes")
    assert (canceled.code, canceled.out.splitlines()[-1], runs.status) == (0, "Canceled.", "canceled")
    twice = await scene.run("job", "cancel", "acme/app", str(runs.id), "--yes")
    assert twice.out.splitlines()[-1] == "Nothing changed: it is canceled."
    retried = await scene.run("job", "retry", "acme/app", str(runs.id), "--yes", "--json", "--input", "n=1=2")
    again = json.loads(retried.out)["after"]
    assert (again["name"], scene.world.jobs[again["id"]].inputs) == ("long", {"n": "1=2"})
    words = ("--variable", "TARGET=a b", "--variable", "EMPTY=", "--input", "x=y")
    played = await scene.run("job", "play", "acme/app", str(waits.id), "--yes", *words)
    assert (played.code, waits.status) == (0, "pending")
    assert (waits.variables, waits.inputs) == ({"TARGET": "a b", "EMPTY": ""}, {"x": "y"})
    wrong = await scene.run("job", "play", "acme/app", str(waits.id), "--yes", "--variable", "secret")
    assert (wrong.code, "secret" in wrong.err) == (2, False)


async def test_cancel_by_force(scene: Place):
    """A job that is canceling is ended by --force alone."""
    (job,) = add(scene, JobSpec("long", cancels_gracefully=True))
    scene.world.start(job)
    words = ("job", "cancel", "acme/app", str(job.id), "--yes")
    assert (await scene.run(*words)).out.splitlines()[-1] == "Being canceled: it is canceling."
    assert (await scene.run(*words)).out.splitlines()[
        -1
    ] == "Nothing changed: it is canceling; --force ends one that is canceling."
    assert (await scene.run(*words, "--force")).out.splitlines()[-1] == "Canceled."
    assert job.status == "canceled"


async def test_erase_and_delete(scene: Place):
    """Artifacts and log, artifacts alone, or those of the whole project."""
    first, second = scene.build("first", "second")
    assert (await scene.run("job", "delete-artifacts", "acme/app", str(second.id), "--yes")).code == 0
    assert (second.archive, second.trace != b"") == (None, True)
    assert (await scene.run("job", "erase", "acme/app", str(first.id), "--yes")).code == 0
    assert (first.archive, first.trace) == (None, b"")
    scene.world.projects[1].keep_latest = False
    (third,) = scene.build("third")
    ran = await scene.run("job", "delete-artifacts", "acme/app", "--all", "--yes")
    assert (ran.code, ran.out.startswith("Accepted: ")) == (0, True)
    assert third.expire_at is not None
    assert third.expire_at <= scene.world.clock.now()


async def test_why_gitlab_refuses(scene: Place):
    """The hint is about this job: protected ref, expiry, status, role."""
    (build,) = scene.build("build")
    scene.world.projects[1].protected_refs.add("main")
    scene.world.add_token(SimToken(value=TOKEN, role=DEVELOPER, protected=False, user_id=2))

    async def refused(verb: str, job: SimJob) -> str:
        ran = await scene.run("job", verb, "acme/app", str(job.id), "--yes")
        assert ran.code == 1
        return ran.err

    assert "where the ref is protected the right to push" in await refused("keep", build)
    assert "The ref is main." in await refused("keep", build)
    assert "Maintainer role" in await refused("delete-artifacts", build)
    scene.world.add_token(SimToken(value=TOKEN))
    assert "It is success: only manual and delayed jobs are played" in await refused("play", build)
    (waits,) = add(scene, JobSpec("deploy", when="manual"))
    assert "It is manual: only jobs that have ended are erased" in await refused("erase", waits)
    assert "It has no archive" in await refused("keep", waits)
    assert "It is manual: only jobs that succeeded" in await refused("retry", waits)
    (old,) = scene.build("old", ago=2 * HOUR, expire_in=HOUR)
    assert "GitLab keeps nothing that is past" in await refused("keep", old)
    build.archived = True
    assert "The job is archived" in await refused("erase", build)


async def test_the_keep_token_writes(scene: Place):
    """Where the configuration has one, and the other token reads alone."""
    path = scene.folder / "artifact-sync.yaml"
    path.write_text(
        path.read_text().replace("token: {env: GITLAB_TOKEN}", "token: {env: READS}, keep_token: {env: WRITES}")
    )
    scene.world.add_token(SimToken(value=READER, scopes=("read_api",)))
    (build,) = scene.build("build")
    ran = await scene.run("job", "keep", "1", str(build.id), "--yes", env={"READS": READER, "WRITES": TOKEN})
    assert (ran.code, ran.err) == (0, "")
    assert [(seen.method, seen.headers["PRIVATE-TOKEN"]) for seen in scene.world.requests] == [
        ("GET", READER),
        ("POST", TOKEN),
    ]


async def test_without_a_configuration(scene: Place):
    """--url and $GITLAB_TOKEN do; nothing is made in the folder, and no token is shown."""
    (scene.folder / "artifact-sync.yaml").unlink()
    (build,) = scene.build("build")
    none = await scene.run("job", "show", "acme/app", str(build.id))
    assert (none.code, "add --url https://gitlab.example.com" in none.err) == (2, True)
    ran = await scene.run("job", "show", "acme/app", str(build.id), "--url", scene.world.url)
    assert (ran.code, ran.err) == (0, "")
    wrong = await scene.run(
        "job", "show", "1", "1", "--url", scene.world.url, env={"GITLAB_TOKEN": "glpat-wrong-wrong"}
    )
    assert (wrong.code, "glpat-wrong" in wrong.out + wrong.err) == (3, False)
    alone = await scene.run("job", "show", "1", "1", "--token-env", "X")
    assert (alone.code, "--token-env cannot stand without --url" in alone.err) == (2, True)
    assert list(scene.folder.iterdir()) == []


async def test_a_ci_job_token(scene: Place):
    """whoami tells its job, downloads work by the project's number, and what it cannot is said; it is in no address."""
    (build,) = scene.build("build")
    (runs,) = add(scene, JobSpec("deploy"))
    scene.world.start(runs)
    scene.world.add_token(SimToken(value=JOB_TOKEN, kind="job", job_id=runs.id, role=DEVELOPER))
    options = ("--url", scene.world.url, "--token-kind", "job")
    env = {"CI_JOB_TOKEN": JOB_TOKEN}
    told = json.loads((await scene.run("job", "whoami", *options, "--json", env=env)).out)
    assert (told["job"]["id"], told["allowed_agents"]["job"]["id"]) == (runs.id, runs.id)
    assert f"#{runs.id}: running" in (await scene.run("job", "whoami", *options, env=env)).out
    ran = await scene.run("job", "download", "1", str(build.id), *options, env=env)
    assert (ran.code, ran.err) == (0, "")
    assert (scene.folder / "artifacts.zip").read_bytes() == archive(build)
    by_path = await scene.run("job", "download", "acme/app", str(build.id), "-o", "b.zip", *options, env=env)
    assert (by_path.code, "$CI_PROJECT_ID" in by_path.err) == (2, True)
    assert JOB_TOKEN not in repr([(seen.path, seen.query) for seen in scene.world.requests])
    other = await scene.run("job", "whoami")
    assert (other.code, "--token-kind job takes $CI_JOB_TOKEN" in other.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("job", "download", "acme/app", "--ref", "main"), "--ref and --job need each other"),
        (("job", "download", "acme/app", "7", "--ref", "main", "--job", "x"), "--ref needs a project alone"),
        (("job", "download", "acme/app", "--ref", "m", "--job", "x", "--type", "junit"), "not to be had by --ref"),
        (("job", "download", "1", "7", "-o", "no/such/x.zip"), "there is no folder no/such"),
        (("job", "download", "1", "7", "-o", "-", "--json"), "exclude each other"),
        (("job", "file", "1", "7", "dist/"), "dist/ is no file"),
        (("job", "delete-artifacts", "1", "7", "--all", "--yes"), "--all needs a project alone"),
        (("job", "show", "7"), "7 is a number alone"),
    ],
)
async def test_what_cannot_be_asked(scene: Place, words: tuple[str, ...], what: str):
    """2, one error, and a hint."""
    scene.build("build")
    words = tuple(
        str(max(scene.world.jobs)) if word == "7" and words[2] == "1" and "--all" not in words else word
        for word in words
    )
    ran = await scene.run(*words)
    assert ran.code == 2
    assert what in ran.err
    assert "hint: " in ran.err

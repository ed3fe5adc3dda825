"""What comes late, goes back, or is seen late: artifacts after the end, skipped jobs that come back, replicas that lag."""

import hashlib
from datetime import timedelta

import pytest

from artifact_sync.simulator import JobSpec, SimJob, SimProject, expected, small

LAG = timedelta(seconds=20)


async def got(http, url: str, **options):
    """The JSON of a success."""
    async with http.get(url, **options) as answer:
        assert answer.status == 200
        return await answer.json()


async def statuses(scene, http, rest: str = "/jobs") -> dict[int, str]:
    """Statuses in a list of acme/app, by id."""
    return {entry["id"]: entry["status"] for entry in await got(http, scene.api(f"/projects/1{rest}"))}


def lone(scene, **spec) -> SimJob:
    """A job in a pipeline of its own."""
    job: SimJob = scene.world.add_pipeline(scene.app, "main", [JobSpec("late", **spec)]).jobs[0]
    return job


# --- artifacts after the end ---


async def test_an_archive_that_comes_late(scene, running, http):
    """Not listed and 404 until then; afterwards as any other, and the pipeline does not move."""
    job = lone(scene, archive=small("late"), reports=("junit",), expire_in=timedelta(hours=1))
    scene.clock.advance(5)
    scene.world.finish(job, late=True)
    seen = await got(http, scene.job_url(job))
    assert (seen["artifacts"], seen["artifacts_expire_at"], "artifacts_file" in seen) == ([], None, False)
    for rest in ("", "/VERSION"):
        async with http.get(scene.job_url(job, f"/artifacts{rest}")) as answer:
            assert answer.status == 404
    async with http.post(scene.job_url(job, "/artifacts/keep")) as answer:
        assert answer.status == 404
    moved = job.pipeline.updated_at
    scene.clock.advance(60)
    scene.world.upload(job)
    seen = await got(http, scene.job_url(job))
    assert [row["file_type"] for row in seen["artifacts"]] == ["archive", "metadata", "junit"]
    assert (seen["status"], job.expire_at) == ("success", scene.clock.now() + timedelta(hours=1))
    async with http.get(scene.job_url(job, "/artifacts")) as answer:
        assert hashlib.sha256(await answer.read()).hexdigest() == expected(scene.world)[job.id]
    assert job.pipeline.updated_at == moved


async def test_reports_that_come_late(scene, running, http):
    """One after the other, beside the archive that was there in time; the expiry stays that of the job."""
    scene.world.report_downloads = True
    expiry = scene.build.expire_at
    for kind in ("sast", "codequality"):
        async with http.get(scene.job_url(scene.build, f"/artifacts?file_type={kind}")) as answer:
            assert answer.status == 404
        scene.world.upload(scene.build, reports=(kind,))
        async with http.get(scene.job_url(scene.build, f"/artifacts?file_type={kind}")) as answer:
            assert answer.status == 200
    listed = {entry["id"]: entry for entry in await got(http, scene.api("/projects/1/jobs"))}[scene.build.id]
    types = [row["file_type"] for row in listed["artifacts"]]
    assert types == ["archive", "metadata", "junit", "sast", "codequality", "trace"]
    assert scene.build.expire_at == expiry


def test_what_a_failed_job_declared_does_not_come_with_a_late_report(scene):
    """Only what is uploaded is there."""
    scene.world.upload(scene.flaky, reports=("junit",))
    assert (scene.flaky.archive, scene.flaky.reports) == (None, ("junit",))


def test_late_artifacts_expire(scene):
    """Counted from their upload; the sweep knows them."""
    scene.app.keep_latest = False
    job = lone(scene, archive=small("late"), expire_in=timedelta(hours=1))
    scene.world.finish(job, late=True)
    scene.clock.advance(timedelta(hours=2))
    assert job not in scene.world.sweep()
    scene.world.upload(job)
    scene.clock.advance(timedelta(minutes=61))
    assert job in scene.world.sweep()
    assert job.archive is None


def test_uploads_that_cannot_be(scene):
    """Before the start, a second archive, a report twice, nothing at all, and after the removal."""
    for job, given in (
        (scene.deploy, {"archive": small("x")}),
        (scene.build, {"archive": small("x")}),
        (scene.build, {"reports": ("junit",)}),
        (scene.build, {}),
    ):
        with pytest.raises(ValueError, match=str(job.id)):
            scene.world.upload(job, **given)
    scene.world.delete_artifacts(scene.build)
    with pytest.raises(ValueError, match=str(scene.build.id)):
        scene.world.upload(scene.build, reports=("sast",))


# --- skipped jobs ---


def test_a_retry_brings_back_what_was_skipped_behind_it(scene):
    """Under their ids, and the pipeline runs again; the same stage, and what ended otherwise, stay as they are."""
    specs = [JobSpec(name, stage) for name, stage in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "three"))]
    pipeline = scene.world.add_pipeline(scene.app, "main", specs)
    first, beside, skipped, canceled = pipeline.jobs
    for job, status in ((first, "failed"), (beside, "skipped"), (skipped, "skipped"), (canceled, "canceled")):
        scene.world.finish(job, status)
    ended = pipeline.updated_at
    assert (pipeline.status, skipped.finished_at) == ("failed", None)
    scene.clock.advance(3600)
    again = scene.world.retry(first)
    assert [job.status for job in (beside, skipped, canceled)] == ["skipped", "created", "canceled"]
    assert pipeline.updated_at > ended
    scene.world.finish(again)
    scene.world.start(skipped)
    assert (skipped.status, pipeline.status) == ("running", "running")
    scene.world.finish(skipped)
    assert skipped.finished_at == scene.clock.now()


def test_only_skipped_jobs_come_back(scene):
    """GitLab's state machine has no way back from the other ends."""
    for job in (scene.build, scene.flaky, scene.deploy):
        with pytest.raises(ValueError, match=str(job.id)):
            scene.world.rerun(job)


# --- replicas ---


async def test_lists_are_late_and_single_jobs_are_not(scene, running, http):
    """What ended is running, what was made is not there, and after the lag all is as it is."""
    scene.world.replica_lag = LAG
    old = lone(scene)
    scene.clock.advance(60)
    scene.world.start(old)
    scene.clock.advance(60)
    scene.world.finish(old)
    new = lone(scene)
    jobs, pipelines = await statuses(scene, http), await statuses(scene, http, "/pipelines")
    assert (jobs[old.id], pipelines[old.pipeline.id]) == ("running", "running")
    assert new.id not in jobs
    assert new.pipeline.id not in pipelines
    inside = await statuses(scene, http, f"/pipelines/{old.pipeline.id}/jobs")
    assert inside == {old.id: "running"}
    assert (await got(http, scene.job_url(old)))["status"] == "success"
    scene.clock.advance(LAG)
    jobs, pipelines = await statuses(scene, http), await statuses(scene, http, "/pipelines")
    assert (jobs[old.id], jobs[new.id], pipelines[old.pipeline.id]) == ("success", "pending", "success")


async def test_a_list_goes_back_when_another_replica_answers(scene, running, http):
    """A status that was seen as an end is running again, with the pipeline and the artifacts of that moment."""
    scene.world.replica_lag = LAG
    scene.world.replica_lag = timedelta()
    job = lone(scene, archive=small("x"))
    scene.clock.advance(60)
    scene.world.start(job)
    scene.clock.advance(60)
    scene.world.finish(job)
    found = []
    for lag in (timedelta(), LAG, timedelta()):
        scene.world.replica_lag = lag
        entry = next(entry for entry in await got(http, scene.api("/projects/1/jobs")) if entry["id"] == job.id)
        found.append((entry["status"], entry["pipeline"]["status"], bool(entry["artifacts"]), entry["finished_at"]))
    assert found[1] == ("running", "running", False, None)
    assert found[0] == found[2]
    assert found[0][:3] == ("success", "success", True)


async def test_filters_and_pages_see_what_the_replica_sees(scene, running, http):
    """By status, by the time of the update, and by cursor."""
    scene.world.replica_lag = LAG
    job = lone(scene)
    scene.clock.advance(60)
    since = scene.clock.now().isoformat().replace("+00:00", "Z")
    scene.clock.advance(1)
    scene.world.finish(job)
    assert job.id not in await statuses(scene, http, "/jobs?scope[]=success")
    assert job.id in await statuses(scene, http, "/jobs?scope[]=pending&pagination=keyset")
    assert await statuses(scene, http, f"/pipelines?updated_after={since}") == {}
    scene.clock.advance(LAG)
    assert job.id in await statuses(scene, http, "/jobs?scope[]=success&pagination=keyset")
    assert await statuses(scene, http, f"/pipelines?updated_after={since}") == {job.pipeline.id: "success"}


async def test_a_downstream_pipeline_is_seen_late(scene, running, http):
    """The trigger job is still created, and leads nowhere yet."""
    scene.world.version = "19.2.0-ee"
    scene.world.replica_lag = LAG
    bridge = lone(scene, bridge=True, trace=None)
    scene.clock.advance(60)
    scene.world.add_pipeline(scene.parser, "main", [JobSpec("x")], parent=bridge.pipeline)
    url = scene.api(f"/projects/1/pipelines/{bridge.pipeline.id}/trigger_jobs")
    assert [(row["status"], row["downstream_pipeline"]) for row in await got(http, url)] == [("pending", None)]
    scene.clock.advance(LAG)
    (row,) = await got(http, url)
    assert (row["status"], row["downstream_pipeline"]["project_id"]) == ("success", scene.parser.id)


async def test_keep_expiry_and_deletion_are_seen_late(scene, running, http):
    """In lists."""
    scene.world.replica_lag = LAG
    scene.app.keep_latest = False
    scene.clock.advance(timedelta(hours=1))
    scene.world.keep(scene.build)
    scene.world.delete_artifacts(scene.docs)
    assert scene.package in scene.world.sweep()

    async def seen() -> list[tuple[bool, bool]]:
        by_id = {entry["id"]: entry for entry in await got(http, scene.api("/projects/1/jobs"))}
        return [
            (by_id[job.id]["artifacts_expire_at"] is not None, len(by_id[job.id]["artifacts"]) > 1)
            for job in (scene.build, scene.docs, scene.package)
        ]

    assert await seen() == [(True, True), (True, True), (True, True)]
    scene.clock.advance(LAG)
    assert await seen() == [(False, True), (True, False), (True, False)]


async def test_the_past_is_kept_as_long_as_the_longest_lag(scene):
    """And no longer: memory does not grow with what happens."""
    scene.world.replica_lag = LAG
    job = scene.build
    for _ in range(50):
        scene.clock.advance(5)
        scene.world.keep(job)
    assert len(scene.world.replica._jobs[job.id]) <= 5


def test_a_lag_is_no_less_than_none(scene):
    """A replica knows nothing of the future."""
    with pytest.raises(ValueError, match="lag"):
        scene.world.replica_lag = -LAG


# --- conditional requests ---


async def test_a_304_keeps_what_leads_on(scene, running, http):
    """Rack takes off Content-Type and Content-Length alone; the requests tell it from a 200."""
    project: SimProject = scene.app
    url = scene.api(f"/projects/{project.id}/jobs?per_page=2")
    async with http.get(url) as answer:
        whole, tag, link = await answer.read(), answer.headers["ETag"], answer.headers["Link"]
    assert tag == f'W/"{hashlib.sha256(whole).hexdigest()[:32]}"'
    async with http.get(url, headers={"If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert (answer.headers["Link"], answer.headers["X-Next-Page"], answer.headers["ETag"]) == (link, "2", tag)
        assert "Content-Type" not in answer.headers
    async with http.get(url, headers={"If-None-Match": tag.removeprefix("W/")}) as answer:
        assert answer.status == 200
    assert [seen.status for seen in scene.world.requests] == [200, 304, 200]

"""The simulator as python-gitlab, an independent client, sees it: one named check each."""

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio.to_thread
import gitlab
import pytest
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabError, GitlabGetError, GitlabHttpError

from artifact_sync.simulator import TOKEN, Delivery, JobSpec, SimJob, SimToken, Throttle, small

CHECKS: list[Callable[..., None]] = []


def check(function):
    """Put a check into the table."""
    CHECKS.append(function)
    return function


def client(scene: Any, token: str | None = TOKEN) -> gitlab.Gitlab:
    return gitlab.Gitlab(scene.world.url, private_token=token)


def project(gl: gitlab.Gitlab, scene: Any) -> Any:
    return gl.projects.get(scene.app.id, lazy=True)


def archive_of(job: SimJob) -> bytes:
    assert job.spec.archive is not None
    assert job.spec.archive.content.data is not None
    return job.spec.archive.content.data


def builds(scene: Any) -> list[int]:
    return [job.id for job in reversed(scene.app.jobs) if not job.spec.bridge]


@check
def version(gl, scene):
    assert gl.version() == ("18.11.2-ee", "4e963fe2f3a")


@check
def current_user(gl, scene):
    gl.auth()
    assert gl.user.username == "mirror-bot"


@check
def token_about_itself(gl, scene):
    found = gl.personal_access_tokens.get("self")
    assert (found.scopes, found.active, found.revoked) == (["api"], True, False)


@check
def project_by_id(gl, scene):
    assert gl.projects.get(scene.app.id).path_with_namespace == "acme/app"


@check
def project_by_path(gl, scene):
    assert gl.projects.get("acme/lib/parser").id == scene.parser.id


@check
def project_that_moved(gl, scene):
    scene.world.move(scene.app, "acme/platform/app")
    found = gl.projects.get("acme/app")
    assert (found.id, found.path_with_namespace) == (scene.app.id, "acme/platform/app")


@check
def projects_by_keyset(gl, scene):
    found = gl.projects.list(iterator=True, pagination="keyset", order_by="id", sort="asc", per_page=2)
    assert [p.id for p in found] == [1, 2, 3]


@check
def group_projects_without_subgroups(gl, scene):
    assert [p.path_with_namespace for p in gl.groups.get("acme").projects.list(get_all=True)] == ["acme/app"]


@check
def group_projects_with_subgroups(gl, scene):
    found = gl.groups.get("acme").projects.list(include_subgroups=True, iterator=True, per_page=1)
    assert {p.path_with_namespace for p in found} == {"acme/app", "acme/lib/parser"}


@check
def group_projects_with_shared_ones(gl, scene):
    scene.world.groups["acme"].shared.append(scene.world.projects[3])
    group = gl.groups.get("acme")
    shared = {p.path_with_namespace for p in group.projects.list(get_all=True)}
    alone = {p.path_with_namespace for p in group.projects.list(get_all=True, with_shared=False)}
    assert (shared, alone) == ({"acme/app", "tools/sandbox"}, {"acme/app"})


@check
def jobs_by_keyset(gl, scene):
    found = project(gl, scene).jobs.list(iterator=True, pagination="keyset", per_page=2)
    assert [job.id for job in found] == builds(scene)
    assert found.total is None


@check
def jobs_by_offset(gl, scene):
    found = project(gl, scene).jobs.list(iterator=True, per_page=2)
    assert (found.current_page, found.per_page, found.total, found.total_pages) == (1, 2, None, None)
    assert [job.id for job in found] == builds(scene)


@check
def jobs_by_scope(gl, scene):
    found = project(gl, scene).jobs.list(scope=["failed", "manual"], get_all=True)
    assert [job.id for job in found] == [scene.deploy.id, scene.flaky.id]


@check
def jobs_of_an_unknown_status(gl, scene):
    with pytest.raises(GitlabError) as refused:
        project(gl, scene).jobs.list(scope=["waiting_for_tea"], get_all=True)
    assert (refused.value.response_code, refused.value.error_message) == (400, "scope does not have a valid value")


@check
def one_job(gl, scene):
    job = project(gl, scene).jobs.get(scene.build.id)
    assert (job.name, job.status, job.pipeline["id"]) == ("build", "success", scene.main.id)
    assert [a["file_type"] for a in job.attributes["artifacts"]] == ["archive", "metadata", "junit", "trace"]
    assert job.artifacts_file == {"filename": "artifacts.zip", "size": len(archive_of(scene.build))}
    assert job.artifacts_expire_at == "2026-03-02T12:00:30.000Z"


@check
def archive_at_once(gl, scene):
    assert project(gl, scene).jobs.get(scene.build.id).artifacts() == archive_of(scene.build)


@check
def archive_streamed(gl, scene):
    parts: list[bytes] = []
    project(gl, scene).jobs.get(scene.build.id).artifacts(streamed=True, action=parts.append, chunk_size=512)
    assert b"".join(parts) == archive_of(scene.build)
    assert len(parts) > 1


@check
def archive_redirected(gl, scene):
    scene.world.delivery = Delivery.REDIRECT
    assert project(gl, scene).jobs.get(scene.build.id).artifacts() == archive_of(scene.build)
    assert [seen.status for seen in scene.world.requests if seen.origin == "storage"] == [200]


@check
def archive_proxied(gl, scene):
    scene.world.delivery = Delivery.PROXIED
    assert project(gl, scene).jobs.get(scene.build.id).artifacts() == archive_of(scene.build)


@check
def archive_in_part(gl, scene):
    path = f"/projects/{scene.app.id}/jobs/{scene.build.id}/artifacts"
    answer = gl.http_get(path, raw=True, extra_headers={"Range": "bytes=100-199"})
    whole = archive_of(scene.build)
    assert (answer.status_code, answer.content) == (206, whole[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"


@check
def archive_of_a_job_without(gl, scene):
    with pytest.raises(GitlabGetError, match="404 Not found"):
        project(gl, scene).jobs.get(scene.deploy.id).artifacts()


@check
def archive_after_expiry_until_swept(gl, scene):
    scene.app.keep_latest = False
    scene.world.sweeper.every = timedelta(days=9999)
    scene.clock.advance(timedelta(hours=2))
    job = project(gl, scene).jobs.get(scene.package.id)
    assert job.artifacts() == archive_of(scene.package)
    scene.world.sweep()
    with pytest.raises(GitlabGetError, match="404"):
        job.artifacts()


@check
def single_file(gl, scene):
    with zipfile.ZipFile(io.BytesIO(archive_of(scene.build))) as opened:
        program = opened.read("dist/app")
    assert project(gl, scene).jobs.get(scene.build.id).artifact("dist/app") == program


@check
def single_file_with_a_space(gl, scene):
    assert b"test 19 of build" in project(gl, scene).jobs.get(scene.build.id).artifact("reports/test%20log.txt")


@check
def single_file_that_is_not_there(gl, scene):
    with pytest.raises(GitlabGetError) as missing:
        project(gl, scene).jobs.get(scene.build.id).artifact("dist/none")
    assert (missing.value.response_code, missing.value.response_body) == (404, b"404 page not found\n")


@check
def keep(gl, scene):
    project(gl, scene).jobs.get(scene.package.id).keep_artifacts()
    assert project(gl, scene).jobs.get(scene.package.id).artifacts_expire_at is None
    scene.clock.advance(timedelta(days=9))
    scene.world.sweep()
    assert project(gl, scene).jobs.get(scene.package.id).artifacts() == archive_of(scene.package)


@check
def keep_after_expiry(gl, scene):
    job = project(gl, scene).jobs.get(scene.package.id)
    scene.clock.advance(timedelta(hours=2))
    assert job.artifacts() == archive_of(scene.package), "locked, so it is still there"
    with pytest.raises(GitlabError) as late:
        job.keep_artifacts()
    assert late.value.response_code == 404


@check
def keep_without_archive(gl, scene):
    with pytest.raises(GitlabError) as missing:
        project(gl, scene).jobs.get(scene.deploy.id).keep_artifacts()
    assert missing.value.response_code == 404


@check
def keep_on_a_moved_path(gl, scene):
    scene.world.move(scene.app, "acme/platform/app")
    with pytest.raises(GitlabHttpError) as moved:
        gl.http_post(f"/projects/acme%2Fapp/jobs/{scene.package.id}/artifacts/keep")
    assert moved.value.response_code == 405
    assert moved.value.error_message == "Non GET methods are not allowed for moved projects"


@check
def log(gl, scene):
    assert project(gl, scene).jobs.get(scene.build.id).trace() == b"Running with gitlab-runner\nJob succeeded\n"


@check
def log_that_is_not_there(gl, scene):
    assert project(gl, scene).jobs.get(scene.deploy.id).trace() == b""


@check
def pipelines_without_children(gl, scene):
    found = project(gl, scene).pipelines.list(iterator=True, per_page=1)
    assert found.total == 2
    assert [p.id for p in found] == [scene.release.id, scene.main.id]


@check
def pipelines_that_are_children(gl, scene):
    found = project(gl, scene).pipelines.list(source="parent_pipeline", get_all=True)
    assert [(p.id, p.source) for p in found] == [(scene.child.id, "parent_pipeline")]


@check
def pipelines_updated_after(gl, scene):
    when = scene.release.created_at - timedelta(seconds=1)
    found = project(gl, scene).pipelines.list(updated_after=when.isoformat(), order_by="updated_at", get_all=True)
    assert [p.id for p in found] == [scene.release.id, scene.main.id]
    later = (scene.release.created_at + timedelta(seconds=1)).isoformat()
    assert [p.id for p in project(gl, scene).pipelines.list(updated_after=later, get_all=True)] == [scene.release.id]


@check
def one_pipeline(gl, scene):
    found = project(gl, scene).pipelines.get(scene.child.id)
    assert (found.status, found.source, found.finished_at) == ("success", "parent_pipeline", "2026-03-01T12:01:00.000Z")


@check
def pipeline_jobs(gl, scene):
    found = project(gl, scene).pipelines.get(scene.main.id, lazy=True).jobs.list(get_all=True)
    assert {job.id for job in found} == {scene.build.id, scene.again.id, scene.deploy.id}


@check
def pipeline_jobs_with_retried(gl, scene):
    jobs = project(gl, scene).pipelines.get(scene.main.id, lazy=True).jobs
    found = jobs.list(include_retried=True, iterator=True, per_page=2)
    assert [job.id for job in found] == [scene.again.id, scene.deploy.id, scene.flaky.id, scene.build.id]


@check
def bridges(gl, scene):
    (bridge,) = project(gl, scene).pipelines.get(scene.main.id, lazy=True).bridges.list(get_all=True)
    assert bridge.name == "children"
    assert bridge.downstream_pipeline["id"] == scene.child.id


@check
def downstream_in_another_project(gl, scene):
    started = scene.world.add_pipeline(scene.parser, "main", [JobSpec("compile")], parent=scene.release)
    (bridge,) = project(gl, scene).pipelines.get(scene.release.id, lazy=True).bridges.list(get_all=True)
    assert bridge.downstream_pipeline["project_id"] == scene.parser.id
    assert [p.id for p in gl.projects.get(scene.parser.id).pipelines.list(get_all=True)] == [started.id]


@check
def archive_by_ref(gl, scene):
    found = project(gl, scene).artifacts.download(ref_name="v1.0.0", job="package")
    assert found == archive_of(scene.package)


@check
def archive_by_ref_from_a_child_pipeline(gl, scene):
    assert project(gl, scene).artifacts.download(ref_name="main", job="docs") == archive_of(scene.docs)


@check
def archive_by_ref_looks_at_the_newest_pipeline_alone(gl, scene):
    newer = scene.world.add_pipeline(scene.app, "main", [JobSpec("lint")])
    assert project(gl, scene).artifacts.download(ref_name="main", job="build") == archive_of(scene.build)
    scene.world.finish(newer.jobs[0])
    with pytest.raises(GitlabGetError, match="404 Job Not Found"):
        project(gl, scene).artifacts.download(ref_name="main", job="build")


@check
def file_by_ref(gl, scene):
    assert project(gl, scene).artifacts.raw("v1.0.0", "VERSION", "package") == b"package\n"


@check
def file_by_ref_with_slashes(gl, scene):
    pipeline = scene.world.add_pipeline(scene.app, "feature/a/b", [JobSpec("x", archive=small("x"))])
    scene.world.finish(pipeline.jobs[0])
    assert project(gl, scene).artifacts.raw("feature/a/b", "VERSION", "x") == b"x\n"


@check
def delete_artifacts(gl, scene):
    job = project(gl, scene).jobs.get(scene.build.id)
    job.delete_artifacts()
    assert [a["file_type"] for a in project(gl, scene).jobs.get(scene.build.id).attributes["artifacts"]] == ["trace"]
    with pytest.raises(GitlabGetError):
        job.artifacts()


@check
def delete_a_projects_artifacts(gl, scene):
    scene.app.keep_latest = False
    project(gl, scene).artifacts.delete()
    assert scene.build.archive is not None, "they only expire now"
    scene.clock.advance(420)
    project(gl, scene).jobs.get(scene.build.id)
    assert [job.archive for job in scene.app.jobs] == [None] * len(scene.app.jobs)


@check
def play(gl, scene):
    job = project(gl, scene).jobs.get(scene.deploy.id)
    job.play()
    assert (job.status, scene.main.status) == ("pending", "running")


@check
def play_what_is_not_playable(gl, scene):
    with pytest.raises(GitlabError, match="Unplayable Job"):
        project(gl, scene).jobs.get(scene.build.id).play()


@check
def retry(gl, scene):
    again = project(gl, scene).jobs.get(scene.build.id).retry()
    assert again["id"] > scene.package.id
    assert (again["name"], again["status"], scene.build.retried) == ("build", "pending", True)


@check
def cancel(gl, scene):
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("long")]).jobs[0]
    assert project(gl, scene).jobs.get(job.id).cancel()["status"] == "canceled"


@check
def erase(gl, scene):
    job = project(gl, scene).jobs.get(scene.build.id)
    job.erase()
    found = project(gl, scene).jobs.get(scene.build.id)
    assert (found.attributes["artifacts"], found.artifacts_expire_at, found.erased_at is None) == ([], None, False)


@check
def wrong_token(gl, scene):
    with client(scene, "glpat-wrong") as stranger, pytest.raises(GitlabAuthenticationError, match="invalid_token"):
        stranger.projects.get(scene.app.id)


@check
def no_token_on_a_public_project(gl, scene):
    scene.app.public = True
    with client(scene, None) as nobody:
        found = nobody.projects.get(scene.app.id)
        assert found.path_with_namespace == "acme/app"
        with pytest.raises(GitlabAuthenticationError, match="401 Unauthorized"):
            found.jobs.list(get_all=True)


@check
def read_api_reads(gl, scene):
    scene.world.add_token(SimToken(value="glpat-reads", scopes=("read_api",)))
    with client(scene, "glpat-reads") as reader:
        assert project(reader, scene).jobs.get(scene.build.id).artifacts() == archive_of(scene.build)


@check
def read_api_does_not_keep(gl, scene):
    scene.world.add_token(SimToken(value="glpat-reads", scopes=("read_api",)))
    with client(scene, "glpat-reads") as reader, pytest.raises(GitlabError) as refused:
        project(reader, scene).jobs.get(scene.build.id).keep_artifacts()
    assert (refused.value.response_code, refused.value.error_message) == (403, "insufficient_scope")


@check
def protected_ref_is_not_kept_by_everyone(gl, scene):
    scene.app.protected_refs.add("v1.0.0")
    scene.world.add_token(SimToken(value="glpat-developer", protected=False))
    with client(scene, "glpat-developer") as developer:
        with pytest.raises(GitlabError, match="403 Forbidden"):
            project(developer, scene).jobs.get(scene.package.id).keep_artifacts()
        project(developer, scene).jobs.get(scene.build.id).keep_artifacts()


@check
def maintenance_refuses_writes(gl, scene):
    scene.world.maintenance = True
    job = project(gl, scene).jobs.get(scene.build.id)
    with pytest.raises(GitlabError) as refused:
        job.keep_artifacts()
    assert refused.value.response_code == 403


@check
def bearer_token(gl, scene):
    with gitlab.Gitlab(scene.world.url, oauth_token=TOKEN) as bearer:
        assert bearer.projects.get(scene.app.id).id == scene.app.id


@check
def job_token(gl, scene):
    job = scene.world.start(scene.world.add_pipeline(scene.app, "main", [JobSpec("asks")]).jobs[0])
    scene.world.add_token(SimToken(value="glcbt-job", kind="job", job_id=job.id))
    with gitlab.Gitlab(scene.world.url, job_token="glcbt-job") as inside:
        path = f"/projects/{scene.app.id}/jobs/{scene.build.id}/artifacts"
        answer = inside.http_get(path, raw=True)
        assert isinstance(answer, requests.Response)
        assert answer.content == archive_of(scene.build)
        own = inside.http_get("/job")
        assert isinstance(own, dict)
        assert own["id"] == job.id
        with pytest.raises(GitlabAuthenticationError):
            project(inside, scene).jobs.get(scene.build.id)
        scene.world.finish(job)
        with pytest.raises(GitlabAuthenticationError):
            inside.http_get(path, raw=True)


@check
def invisible_project(gl, scene):
    scene.app.visible = False
    with pytest.raises(GitlabGetError, match="404 Project Not Found"):
        gl.projects.get(scene.app.id)


@check
def unknown_job(gl, scene):
    with pytest.raises(GitlabGetError, match="404 Not found"):
        project(gl, scene).jobs.get(999_999)


@check
def throttled_and_waited_for(gl, scene):
    scene.clock.factor = 1.0
    scene.world.limits.throttle = Throttle(limit=3, period=1)
    assert {gl.projects.get(scene.app.id).id for _ in range(7)} == {scene.app.id}
    assert 429 in {seen.status for seen in scene.world.requests}


@check
def tree_of_an_archive(gl, scene):
    rows = gl.http_list(f"/projects/{scene.app.id}/jobs/{scene.build.id}/artifacts/tree", get_all=True)
    assert [(row["path"], row["type"]) for row in rows][:2] == [("dist/", "directory"), ("reports/", "directory")]


@pytest.mark.parametrize("named", CHECKS, ids=lambda function: function.__name__)
async def test_python_gitlab_sees(named, scene, running):
    """What python-gitlab gets is what GitLab would have given it."""

    def run() -> None:
        with client(scene) as gl:
            named(gl, scene)

    await anyio.to_thread.run_sync(run)

"""Our client and python-gitlab, an independent one, ask the same simulated GitLab for the same, and get the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gitlab
import pytest
from anyio import to_thread

from artifact_sync.core.model import Item
from artifact_sync.ports import Latest, Source
from artifact_sync.simulator import TOKEN, JobSpec, SimToken, small
from tests.integration.gitlab.gitlab_harness import Scene, downloaded, entries, scene_of

JOB_TOKEN = "glcbt-of-the-running-job-0000"


async def theirs(scene: Scene, ask: Callable[[Any], Any], **options: Any) -> Any:
    """What python-gitlab makes of it."""

    def work() -> Any:
        with gitlab.Gitlab(scene.world.url, **(options or {"private_token": TOKEN})) as client:
            return ask(client)

    return await to_thread.run_sync(work)


def lazily(client: Any, scene: Scene) -> Any:
    return client.projects.get(scene.project.id, lazy=True)


async def test_lists():
    """Jobs by status, jobs of a pipeline with the superseded ones, trigger jobs."""
    async with scene_of() as scene:
        scene.world.retry(scene.job)
        pipeline = scene.job.pipeline.id
        scene.world.add_pipeline(scene.project, "main", [JobSpec("inner")], parent=scene.job.pipeline)
        operator, number = scene.client.operator, scene.project.id
        pairs: list[tuple[Any, Callable[[Any], Any]]] = [
            (
                operator.jobs(number, statuses=["pending", "success"]),
                lambda gl: lazily(gl, scene).jobs.list(scope=["pending", "success"], get_all=True),
            ),
            (
                operator.pipeline_jobs(number, pipeline, include_retried=True),
                lambda gl: (
                    lazily(gl, scene).pipelines.get(pipeline, lazy=True).jobs.list(include_retried=True, get_all=True)
                ),
            ),
            (
                operator.trigger_jobs(number, pipeline),
                lambda gl: lazily(gl, scene).pipelines.get(pipeline, lazy=True).bridges.list(get_all=True),
            ),
        ]
        for ours, ask in pairs:
            found = [job.id for job in await theirs(scene, ask)]
            assert found
            assert await entries(ours) == found


async def test_one_job():
    """Field by field."""
    async with scene_of() as scene:
        ours = await scene.client.operator.job(scene.project.id, scene.job.id)
        found = await theirs(scene, lambda gl: lazily(gl, scene).jobs.get(scene.job.id).attributes)
        for field in (
            "id",
            "name",
            "status",
            "stage",
            "ref",
            "tag",
            "coverage",
            "duration",
            "queued_duration",
            "web_url",
        ):
            assert getattr(ours, field) == found[field], field


async def test_downloads_by_ref():
    """The archive and a file of the newest successful pipeline."""
    async with scene_of() as scene:
        latest = Latest(ref="main", job="build")
        archive = Source(project_id=scene.project.id, job_id=0, item=Item(kind="archive", name="a"), latest=latest)
        item = Item(kind="file", name="f", path="VERSION")
        file = Source(project_id=scene.project.id, job_id=0, item=item, latest=latest)
        their_archive = await theirs(scene, lambda gl: lazily(gl, scene).artifacts.download("main", "build"))
        their_file = await theirs(scene, lambda gl: lazily(gl, scene).artifacts.raw("main", "VERSION", "build"))
        assert await downloaded(scene.client, archive) == their_archive
        assert await downloaded(scene.client, file) == their_file


@pytest.mark.parametrize("verb", ["cancel", "retry", "play", "erase"])
@pytest.mark.parametrize("status", ["pending", "success", "manual", "skipped"])
async def test_verbs(verb, status):
    """In each status the one is granted where the other is, and the job is left alike."""
    outcomes = []
    for mine in (True, False):
        async with scene_of() as scene:
            spec = JobSpec("x", when="manual" if status == "manual" else "on_success", archive=small("x"))
            (job,) = scene.world.add_pipeline(scene.project, "main", [spec]).jobs
            if status in {"success", "skipped"}:
                scene.world.finish(job, status)
            try:
                if mine:
                    await getattr(scene.client.operator, verb)(scene.project.id, job.id)
                else:
                    await theirs(scene, lambda gl: getattr(lazily(gl, scene).jobs.get(job.id), verb)())  # noqa: B023 - called at once
                answer = None
            except Exception as error:  # noqa: BLE001 - the two have errors of their own
                answer = getattr(error, "status", None) or getattr(error, "response_code", None)
            outcomes.append((answer, job.status, job.retried, job.erased_at is not None))
    assert outcomes[0] == outcomes[1]


async def test_deletion_of_a_project():
    """Both only let them expire."""
    for mine in (True, False):
        async with scene_of() as scene:
            scene.project.keep_latest = False
            if mine:
                await scene.client.operator.delete_project_artifacts(scene.project.id)
            else:
                await theirs(scene, lambda gl: lazily(gl, scene).artifacts.delete())
            assert scene.job.expire_at == scene.world.clock.now()


async def test_a_job_token():
    """GET /job as python-gitlab asks for it."""
    async with scene_of() as scene:
        (running,) = scene.world.add_pipeline(scene.project, "main", [JobSpec("deploy")]).jobs
        scene.world.start(running)
        scene.world.add_token(SimToken(value=JOB_TOKEN, kind="job", job_id=running.id))
        found = await theirs(scene, lambda gl: gl.http_get("/job"), job_token=JOB_TOKEN)
        agents = await theirs(scene, lambda gl: gl.http_get("/job/allowed_agents"), job_token=JOB_TOKEN)
        assert (found["id"], agents["job"]["id"]) == (running.id, running.id)

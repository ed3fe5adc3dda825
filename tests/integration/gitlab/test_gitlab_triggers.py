"""Trigger jobs over HTTP, under either of the names that GitLab has for them."""

from __future__ import annotations

import pytest

from artifact_sync.errors import Denied, NotFound, Transient
from artifact_sync.ports import Priority
from artifact_sync.simulator import JobSpec, SimPipeline, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.gitlab.gitlab_harness import Scene, entries, scene_of

OLD, NEW = "18.11.2-ee", "19.2.0-ee"


def parent_of(scene: Scene, *bridges: str) -> SimPipeline:
    """A pipeline with these trigger jobs and an ordinary job."""
    specs = [JobSpec(name, bridge=True, trace=None) for name in bridges]
    return scene.world.add_pipeline(scene.project, "main", [JobSpec("compile"), *specs])


def names(scene: Scene) -> list[tuple[str, int | None]]:
    """Under which name was asked, and what was answered."""
    return [(seen.path.rpartition("/")[2], seen.status) for seen in scene.world.requests]


@pytest.mark.parametrize(
    ("version", "asked"),
    [(NEW, [("trigger_jobs", 200)] * 2), (OLD, [("trigger_jobs", 404), ("bridges", 200), ("bridges", 200)])],
)
async def test_the_name_is_found_out_once(version, asked):
    """An older GitLab is asked under the older name from then on."""
    async with scene_of() as scene:
        scene.world.version = version
        pipeline = parent_of(scene, "one", "two")
        for _ in range(2):
            found = await entries(scene.client.trigger_jobs(scene.project.id, pipeline.id, priority=Priority.AUDIT))
            assert found == [pipeline.jobs[2].id, pipeline.jobs[1].id]
        assert names(scene) == asked
        assert scene.client.requests[Priority.AUDIT] == len(asked)


async def test_an_older_gitlab_is_proved_by_an_empty_list_too():
    """A pipeline without trigger jobs is answered under the older name all the same."""
    async with scene_of() as scene:
        for _ in range(2):
            assert await entries(scene.client.trigger_jobs(scene.project.id, scene.job.pipeline.id)) == []
        assert [name for name, _ in names(scene)] == ["trigger_jobs", "bridges", "bridges"]


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_what_is_out_of_sight_proves_nothing(version):
    """A project that is invisible, and a pipeline that is not there, are NotFound, and the newer name stays the first."""
    async with scene_of() as scene:
        scene.world.version = version
        hidden = scene.world.add_project("acme/hidden", visible=False)
        secret = scene.world.add_pipeline(hidden, "main", [JobSpec("x", bridge=True, trace=None)])
        for project, pipeline in ((hidden.id, secret.id), (scene.project.id, 999_999)):
            scene.world.requests.clear()
            with pytest.raises(NotFound):
                await entries(scene.client.trigger_jobs(project, pipeline))
            assert names(scene) == [("trigger_jobs", 404), ("bridges", 404)]
        scene.world.version = NEW
        scene.world.requests.clear()
        await entries(scene.client.trigger_jobs(scene.project.id, scene.job.pipeline.id))
        assert names(scene) == [("trigger_jobs", 200)]


async def test_out_of_sight_is_told_by_an_older_gitlab_that_is_known_as_such():
    """With one request."""
    async with scene_of() as scene:
        await entries(scene.client.trigger_jobs(scene.project.id, scene.job.pipeline.id))
        scene.project.visible = False
        scene.world.requests.clear()
        with pytest.raises(NotFound):
            await entries(scene.client.trigger_jobs(scene.project.id, scene.job.pipeline.id))
        assert names(scene) == [("bridges", 404)]


@pytest.mark.parametrize(("status", "error"), [(403, Denied), (502, Transient), (500, Transient)])
async def test_other_errors_are_not_taken_for_an_older_gitlab(status, error):
    """Only 404 is what an unknown name is answered with."""
    async with scene_of() as scene:
        scene.world.faults.add(Fault(path="/trigger_jobs$", action=faults.Answer(status=status), times=None))
        with pytest.raises(error):
            await entries(scene.client.trigger_jobs(scene.project.id, scene.job.pipeline.id))
        assert {name for name, _ in names(scene)} == {"trigger_jobs"}


async def test_where_trigger_jobs_lead():
    """A child, a pipeline of another project, and nowhere yet."""
    async with scene_of() as scene:
        scene.world.version = NEW
        pipeline = parent_of(scene, "child", "other", "waiting")
        child = scene.world.add_pipeline(scene.project, "main", [JobSpec("docs")], parent=pipeline)
        other = scene.world.add_pipeline(
            scene.world.add_project("tools/deploy"), "main", [JobSpec("x")], parent=pipeline
        )
        pages = [page async for page in scene.client.trigger_jobs(scene.project.id, pipeline.id)]
        found = {job.name: job for page in pages for job in page.items}
        downs = {name: job.downstream_pipeline for name, job in found.items()}
        assert {name: down and (down.id, down.project_id) for name, down in downs.items()} == {
            "child": (child.id, scene.project.id),
            "other": (other.id, other.project.id),
            "waiting": None,
        }
        assert {name: job.finished for name, job in found.items()} == {"child": True, "other": True, "waiting": False}
        assert other.project is not scene.project


async def test_more_trigger_jobs_than_a_page_holds():
    """Also under the older name each comes once."""
    async with scene_of() as scene:
        pipeline = parent_of(scene, *(f"trigger {number}" for number in range(230)))
        found = await entries(scene.client.trigger_jobs(scene.project.id, pipeline.id))
        assert sorted(found) == [job.id for job in pipeline.jobs[1:]]

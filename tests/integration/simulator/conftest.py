"""A small world on a clock that the tests drive, and its server."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from artifact_sync.simulator import (
    TOKEN,
    JobSpec,
    Running,
    SimClock,
    SimJob,
    SimPipeline,
    SimProject,
    World,
    serve,
    small,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Scene:
    """What the world holds; the names say what is special about each."""

    world: World
    clock: SimClock
    app: SimProject
    parser: SimProject
    main: SimPipeline
    child: SimPipeline
    release: SimPipeline
    build: SimJob
    flaky: SimJob
    again: SimJob
    deploy: SimJob
    docs: SimJob
    package: SimJob

    def api(self, path: str) -> str:
        """A URL below the API's root."""
        return f"{self.world.url}/api/v4{path}"

    def job_url(self, job: SimJob, rest: str = "") -> str:
        """A URL of a job."""
        return self.api(f"/projects/{job.project.id}/jobs/{job.id}{rest}")


@pytest.fixture
def scene():
    """Three projects; on acme/app a branch pipeline with a retry, a manual job and a child pipeline, and a tag."""
    clock = SimClock.manual(START)
    world = World(clock=clock)
    day = timedelta(days=1)
    app, parser = world.add_project("acme/app"), world.add_project("acme/lib/parser")
    world.add_project("tools/sandbox")
    main = world.add_pipeline(
        app,
        "main",
        [
            JobSpec("build", "build", archive=small("build"), expire_in=day, reports=("junit",)),
            JobSpec("flaky", "build", archive=small("flaky"), expire_in=day),
            JobSpec("children", "build", bridge=True, trace=None),
            JobSpec("deploy", "deploy", when="manual", archive=small("deploy")),
        ],
    )
    build, flaky, _, deploy = main.jobs
    child = world.add_pipeline(app, "main", [JobSpec("docs", archive=small("docs"), expire_in=day)], parent=main)
    clock.advance(30)
    world.finish(build)
    world.finish(flaky, "failed")
    again = world.retry(flaky)
    docs = child.jobs[0]
    clock.advance(30)
    world.finish(docs)
    world.finish(again)
    release = world.add_pipeline(
        app, "v1.0.0", [JobSpec("package", archive=small("package"), expire_in=timedelta(hours=1))], tag=True
    )
    clock.advance(30)
    package = world.finish(release.jobs[0])
    clock.advance(300)
    return Scene(
        world=world,
        clock=clock,
        app=app,
        parser=parser,
        main=main,
        child=child,
        release=release,
        build=build,
        flaky=flaky,
        again=again,
        deploy=deploy,
        docs=docs,
        package=package,
    )


@pytest.fixture
async def running(scene):
    """The scene's server."""
    async with serve(scene.world) as served:
        yield served


@pytest.fixture
async def http(running: Running):
    """A plain HTTP client with the world's token, which follows no redirect and unpacks nothing."""
    async with aiohttp.ClientSession(headers={"PRIVATE-TOKEN": TOKEN}, auto_decompress=False) as session:
        yield session

"""Requests of the client as spans."""

from anyio import create_task_group

from artifact_sync.ports import Pin
from artifact_sync.ports.tracing import span, traced
from artifact_sync.simulator import Delivery
from tests.integration.gitlab.gitlab_harness import scene_of
from tests.unit.gitlab.written_spans import Written

ARTIFACTS = "GET /api/v4/projects/:id/jobs/:job_id/artifacts"


async def test_pieces_that_come_straight_from_the_store_are_requests_too():
    """Of whichever task that began within a span: GitLab is asked once, and then the store alone."""
    tracer = Written()
    async with scene_of() as scene:
        scene.world.delivery = Delivery.REDIRECT

        async def piece(start: int, pin: Pin | None) -> Pin | None:
            async with scene.client.open_range(scene.source, start=start, stop=start + 9, pin=pin) as found:
                assert found is not None
                async for _ in found.chunks():
                    pass
                return found.pin

        with traced(tracer), span("whole"):
            pin = await piece(0, None)
            async with create_task_group() as group:
                group.start_soon(piece, 10, pin)
    (whole, *requests) = tracer.spans
    assert whole == ("whole", {"within": ()})
    told = [(name, own["within"], own["http.response.status_code"]) for name, own in requests]
    assert told == [(ARTIFACTS, ("whole",), 302), ("GET", ("whole",), 206), ("GET", ("whole",), 206)]


async def test_every_request_has_a_route():
    """So that names of spans are a few: of lists, of a job, of its keep and its files."""
    tracer = Written()
    async with scene_of() as scene:
        project, job = scene.project.id, scene.job.id
        with traced(tracer):
            await scene.client.version()
            await scene.client.token()
            await scene.client.project("acme/app")
            async for _ in scene.client.projects():
                pass
            async for _ in scene.client.project_jobs(project):
                pass
            async for _ in scene.client.pipelines(project):
                pass
            async for _ in scene.client.trigger_jobs(project, scene.job.pipeline.id):
                pass
            await scene.client.job(project, job)
            async for _ in scene.client.tree(project, job):
                pass
            await scene.client.keep(project, job)
    assert len(tracer.spans) >= 10
    assert [name for name, own in tracer.spans if own["url.template"] is None] == []
    # An older GitLab has another name for the list.
    assert {name.rpartition("/")[2] for name, own in tracer.spans if "failed" in own} <= {"trigger_jobs"}

"""Lists that are asked for again: unchanged ones cost a 304, and nothing new is ever hidden by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from artifact_sync.errors import NotFound, Throttled, Transient
from artifact_sync.gitlab import FileToken, NoToken
from artifact_sync.ports import Page, Priority
from artifact_sync.simulator import TOKEN, Delivery, JobSpec, SimToken, Throttle, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import Request, raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import Scene, client_of, downloaded, entries, json_answer, scene_of

OTHER = "glpat-other-of-no-worth-000"


async def pages(listing: AsyncIterator[Page[Any]]) -> list[Page[Any]]:
    """All pages, whole."""
    return [page async for page in listing]


def conditions(scene: Scene, path: str = "/jobs") -> list[bool]:
    """Whether each request for a list had a condition."""
    return ["If-None-Match" in seen.headers for seen in scene.world.requests if seen.path.endswith(path)]


def many(scene: Scene, jobs: int) -> None:
    """One more pipeline of so many jobs."""
    scene.world.add_pipeline(scene.project, "main", [JobSpec(f"job{number}") for number in range(jobs)])


async def test_an_unchanged_list_costs_304s():
    """And gives the same pages, over several of them."""
    async with scene_of() as scene:
        many(scene, 230)
        first = await pages(scene.client.project_jobs(scene.project.id))
        second = await pages(scene.client.project_jobs(scene.project.id))
        assert first == second
        assert [len(page.items) for page in second] == [100, 100, 31]
        assert scene.statuses("/jobs") == [200, 200, 200, 304, 304, 304]


async def test_every_kind_of_list_is_revalidated():
    """Projects, groups, pipelines, their jobs and their trigger jobs."""
    async with scene_of() as scene:
        scene.world.version = "19.2.0-ee"
        client, project, pipeline = scene.client, scene.project.id, scene.job.pipeline.id
        for listing in (
            client.projects,
            lambda: client.group_projects("acme"),
            lambda: client.pipelines(project),
            lambda: client.pipeline_jobs(project, pipeline),
            lambda: client.trigger_jobs(project, pipeline),
        ):
            scene.world.requests.clear()
            assert await pages(listing()) == await pages(listing())
            assert scene.statuses() == [200, 304]


async def test_what_changed_comes():
    """A job that ends on the second page leaves the first one alone."""
    async with scene_of() as scene:
        many(scene, 1)
        many(scene, 120)
        await entries(scene.client.project_jobs(scene.project.id))
        scene.world.finish(scene.project.jobs[1])
        found = [job async for page in scene.client.project_jobs(scene.project.id) for job in page.items]
        assert [job.id for job in found if job.status == "success"] == [scene.project.jobs[1].id, scene.job.id]
        assert scene.statuses("/jobs") == [200, 200, 304, 200]


async def test_what_comes_behind_a_full_page_is_not_hidden():
    """Its body stays as it is, and a 304 may have lost its Link (RFC 9110 section 15.4.5): the next page is found."""
    first, second = range(1, 101), [101]
    grown: list[bool] = []

    def answer(request: Request) -> list[bytes]:
        if "if-none-match" in request.headers:
            return [whole(b"", 'ETag: W/"full"', status="304 Not Modified")]
        if "id_after" in request.target:
            return [json_answer([{"id": number, "path_with_namespace": "a/b"} for number in second])]
        link = ['Link: <http://x/api/v4/projects?id_after=100>; rel="next"'] if grown else []
        listing = [{"id": number, "path_with_namespace": "a/b"} for number in first]
        return [json_answer(listing, 'ETag: W/"full"', *link)]

    async with raw_server(answer) as server, client_of(server.url) as client:
        assert await entries(client.projects()) == [*first]
        grown.append(True)
        for _ in range(2):
            assert await entries(client.projects()) == [*first, *second]
        assert "if-none-match" in server.requests[-2].headers


async def test_a_full_page_by_number_grows_a_next_one():
    """The projects of a group come oldest first, so the first hundred do not change."""
    async with scene_of() as scene:
        for number in range(99):
            scene.world.add_project(f"acme/p{number}")
        before = await entries(scene.client.group_projects("acme"))
        again = await entries(scene.client.group_projects("acme"))
        late = scene.world.add_project("acme/late")
        after = await entries(scene.client.group_projects("acme"))
        assert (before, set(after)) == (again, {*before, late.id})


@pytest.mark.parametrize("priority", [Priority.BACKFILL, Priority.AUDIT, Priority.DOWNLOAD])
async def test_only_polls_are_remembered(priority):
    """Who reads each page once would drive out what is polled."""
    async with scene_of() as scene:
        for _ in range(2):
            await entries(scene.client.project_jobs(scene.project.id, priority=priority))
        assert conditions(scene) == [False, False]


async def test_single_objects_and_downloads_are_asked_for_without_a_condition():
    """Of these the newest state is what matters."""
    async with scene_of() as scene:
        for _ in range(2):
            await scene.client.job(scene.project.id, scene.job.id)
            await scene.client.project(scene.project.id)
            assert await downloaded(scene.client, scene.source) == scene.archive
        assert not any("If-None-Match" in seen.headers for seen in scene.world.requests)
        assert set(scene.statuses()) == {200}


async def test_another_token_does_not_see_what_the_first_one_saw(tmp_path):
    """A list that is the same for both is asked for whole all the same."""
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    async with scene_of(token=FileToken(secret)) as scene:
        scene.world.add_token(SimToken(value=OTHER))
        mine = await entries(scene.client.project_jobs(scene.project.id))
        secret.write_text(OTHER)
        assert await entries(scene.client.project_jobs(scene.project.id)) == mine
        assert conditions(scene) == [False, False]
        scene.project.visible = False
        with pytest.raises(NotFound):
            await entries(scene.client.project_jobs(scene.project.id))


async def test_a_304_that_nobody_asked_for_is_asked_again():
    """And no page is made out of nothing, however long it goes on."""
    async with scene_of(attempts=3) as scene:
        bare = scene.world.faults.add(Fault(path="/jobs$", action=faults.Answer(status=304), times=2))
        assert await entries(scene.client.project_jobs(scene.project.id)) == [scene.job.id]
        assert conditions(scene) == [False, False, False]
        bare.times = None
        with pytest.raises(Transient, match="304"):
            await entries(scene.client.pipeline_jobs(scene.project.id, scene.job.pipeline.id))


async def test_a_304_about_another_body_is_asked_again_without_the_condition():
    """A cache on the way that mixes up its entries."""
    jobs = [{"id": 1, "name": "a", "status": "success"}]
    answers = [
        script([json_answer(jobs, 'ETag: W/"one"')]),
        script([whole(b"", 'ETag: W/"two"', status="304 Not Modified")]),
        script([json_answer([*jobs, {"id": 2, "name": "b", "status": "success"}], 'ETag: W/"two"')]),
    ]
    async with raw_server(*answers) as server, client_of(server.url) as client:
        assert await entries(client.pipeline_jobs(1, 1)) == [1]
        assert await entries(client.pipeline_jobs(1, 1)) == [1, 2]
        assert [request.headers.get("if-none-match") for request in server.requests] == [None, 'W/"one"', None]


async def test_a_page_that_was_not_understood_is_not_remembered():
    """Broken JSON with an ETag would be confirmed again and again."""
    answers = [
        script([whole(b'[{"id": 1', 'ETag: W/"one"', "Content-Type: application/json")]),
        script([json_answer([], 'ETag: W/"two"')]),
    ]
    async with raw_server(*answers) as server, client_of(server.url) as client:
        with pytest.raises(Transient):
            await entries(client.pipeline_jobs(1, 1))
        assert await entries(client.pipeline_jobs(1, 1)) == []
        assert "if-none-match" not in server.requests[1].headers


async def test_a_redirected_list_is_asked_for_whole():
    """The ETag would be shown to another URL than the one that it is of."""
    async with scene_of() as scene:
        await pages(scene.client.group_projects("acme"))
        elsewhere = f"{scene.world.url}/api/v4/projects"
        moved = faults.Redirect(to=elsewhere, status=301)
        scene.world.faults.add(Fault(path="/groups/acme/projects$", action=moved, times=2))
        for _ in range(2):
            assert await entries(scene.client.group_projects("acme")) == [scene.project.id]
        assert conditions(scene, "/api/v4/projects") == [False, False]
        assert conditions(scene, "/groups/acme/projects") == [False, True, False]


async def test_an_entry_that_is_not_understood_is_counted_again():
    """The page is the same one as before."""
    listing = json_answer([{"id": "x"}, {"id": 1, "name": "b", "status": "success"}], 'ETag: "strong"')
    answers = [script([listing]), script([whole(b"", 'ETag: "strong"', status="304 Not Modified")])]
    async with raw_server(*answers) as server, client_of(server.url) as client:
        first, second = [await pages(client.pipeline_jobs(1, 1)) for _ in range(2)]
        assert first == second
        assert second[0].undecodable == 1


async def test_requests_are_counted_by_purpose():
    """Those that were made: redirects and tries again included, and who was refused its turn is not."""
    async with scene_of(attempts=2) as scene:
        client, project = scene.client, scene.project.id
        assert dict(client.requests) == dict.fromkeys(Priority, 0)
        for _ in range(2):
            await entries(client.project_jobs(project))
        await entries(client.project_jobs(project, priority=Priority.BACKFILL))
        await client.keep(project, scene.job.id)
        scene.world.limits.throttle = Throttle(limit=1)
        for _ in range(2):
            await downloaded(client, scene.source)
        assert dict(client.requests) == {
            Priority.KEEP: 1,
            Priority.DOWNLOAD: 3,
            Priority.POLL: 2,
            Priority.BACKFILL: 1,
            Priority.AUDIT: 0,
        }
        assert sum(client.requests.values()) == scene.world.requests.total
        assert {priority: count for priority, count in client.unchanged.items() if count} == {Priority.POLL: 1}
        assert {priority: count for priority, count in client.throttled.items() if count} == {Priority.DOWNLOAD: 1}


async def test_an_object_store_costs_nothing_of_the_budget():
    """It is not GitLab's: its hop is neither counted nor waited for."""
    async with scene_of() as scene:
        scene.world.delivery = Delivery.REDIRECT
        await downloaded(scene.client, scene.source)
        assert scene.client.requests[Priority.DOWNLOAD] == 1
        assert scene.world.requests.total == 2


async def test_throttled_polls_are_counted_as_such():
    """Each 429, also of those that are tried again."""
    async with scene_of(attempts=3) as scene:
        scene.world.faults.add(Fault(path="/jobs$", action=faults.Answer(status=429), times=None))
        with pytest.raises(Throttled):
            await entries(scene.client.project_jobs(scene.project.id))
        assert (scene.client.throttled[Priority.POLL], scene.client.requests[Priority.POLL]) == (3, 3)
        assert scene.client.unchanged[Priority.POLL] == 0


async def test_the_older_token_is_back(tmp_path):
    """What was seen with it before is not shown again."""
    secret = tmp_path / "token"
    async with scene_of(token=FileToken(secret)) as scene:
        scene.world.add_token(SimToken(value=OTHER))
        for value in (TOKEN, OTHER, TOKEN, TOKEN):
            secret.write_text(value)
            await entries(scene.client.project_jobs(scene.project.id))
        assert conditions(scene) == [False, False, False, True]


async def test_an_anonymous_client_is_a_credential_of_its_own():
    """It works as with any other."""
    async with scene_of(token=NoToken()) as scene:
        scene.project.public = True
        for _ in range(2):
            await entries(scene.client.pipelines(scene.project.id))
        assert scene.statuses("/pipelines") == [200, 304]

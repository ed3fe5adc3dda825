"""Lists over HTTP: every id comes, none is missing, whatever the server can and however it struggles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, Throttled, Transient
from artifact_sync.gitlab import FileToken, TokenKind
from artifact_sync.ports import Priority
from artifact_sync.simulator import TOKEN, JobSpec, Quota, SimToken, Throttle, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import Request, Script, raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import client_of, downloaded, entries, json_answer, scene_of, token

NO_KEYSET = faults.Answer(
    status=405,
    body='{"error":"Keyset pagination is not yet available for this type of request"}',
    content_type="application/json",
)


async def filled(scene, jobs: int = 230) -> set[int]:
    """So many more jobs in one pipeline each of 10; the ids of all of the project."""
    for _ in range(jobs // 10):
        scene.world.add_pipeline(scene.project, "main", [JobSpec(f"job{number}") for number in range(10)])
    return {job.id for job in scene.project.jobs}


def queries(scene, path: str) -> list[dict[str, str]]:
    """What was asked of a list, request by request."""
    return [dict(seen.query) for seen in scene.world.requests if seen.path.endswith(path)]


async def test_jobs_by_keyset():
    """Each once, newest first, with a cursor from page to page, to where the server runs."""
    async with scene_of() as scene:
        scene.world.external_url = "https://public.example.com:9443"
        expected = await filled(scene)
        found = await entries(scene.client.project_jobs(scene.project.id))
        assert found == sorted(expected, reverse=True)
        asked = queries(scene, "/jobs")
        assert [("cursor" in query, query["pagination"]) for query in asked] == [
            (False, "keyset"),
            (True, "keyset"),
            (True, "keyset"),
        ]


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_jobs_by_offset_where_there_is_no_keyset(nth):
    """From the first page on, or when the server is put back to an older version in between; none is missing."""
    async with scene_of() as scene:
        expected = await filled(scene)
        scene.world.faults.add(Fault(path="/jobs$", action=NO_KEYSET, nth=nth))
        found = await entries(scene.client.project_jobs(scene.project.id))
        assert set(found) == expected
        assert "pagination" not in queries(scene, "/jobs")[-1]
        if nth == 1:
            assert len(found) == len(expected)


@pytest.mark.parametrize("keyset", [True, False])
async def test_projects(keyset):
    """All that are seen."""
    async with scene_of() as scene:
        ids = {scene.project.id} | {scene.world.add_project(f"acme/p{number}").id for number in range(220)}
        if not keyset:
            scene.world.faults.add(Fault(path="/projects$", action=NO_KEYSET))
        found = await entries(scene.client.projects())
        assert (set(found), len(found)) == (ids, len(ids))


async def test_projects_of_a_group():
    """Those of its subgroups too, archived ones too, shared ones not."""
    async with scene_of() as scene:
        ids = {scene.project.id} | {scene.world.add_project(f"acme/deep/p{number}").id for number in range(120)}
        ids.add(scene.world.add_project("acme/old", archived=True).id)
        scene.world.add_group("acme").shared.append(scene.world.add_project("other/shared"))
        found = await entries(scene.client.group_projects("acme"))
        assert (set(found), len(found)) == (ids, len(ids))
        assert set(await entries(scene.client.group_projects("acme/deep"))) < ids


async def test_pipelines_and_their_jobs():
    """Children apart, updates by time, retried jobs on demand."""
    async with scene_of() as scene:
        main = scene.world.add_pipeline(scene.project, "main", [JobSpec("flaky")])
        child = scene.world.add_pipeline(scene.project, "main", [JobSpec("docs")], parent=main)
        flaky = scene.world.finish(main.jobs[0], "failed")
        scene.clock.jump(3600)
        late = [scene.world.add_pipeline(scene.project, "late", [JobSpec("a")]).id for _ in range(110)]
        client, project = scene.client, scene.project.id
        everything = {scene.job.pipeline.id, main.id, *late}
        assert set(await entries(client.pipelines(project))) == everything
        assert await entries(client.pipelines(project, source="parent_pipeline")) == [child.id]
        since = scene.clock.now() - timedelta(minutes=30)
        assert sorted(await entries(client.pipelines(project, updated_after=since))) == late
        again = scene.world.retry(flaky)
        assert await entries(client.pipeline_jobs(project, main.id)) == [again.id]
        both = await entries(client.pipeline_jobs(project, main.id, include_retried=True))
        assert set(both) == {flaky.id, again.id}


@pytest.mark.parametrize(
    ("nth", "times", "sizes"), [(1, 1, {100, 50}), (2, 2, {100, 50, 25}), (3, 3, {100, 50, 25, 10})]
)
@pytest.mark.parametrize("keyset", [True, False])
async def test_smaller_pages_for_a_server_that_gives_up(nth, times, sizes, keyset):
    """A statement timeout is a 500; the page is asked for with fewer rows, and none is left out."""
    async with scene_of() as scene:
        expected = await filled(scene, 330)
        if not keyset:
            scene.world.faults.add(Fault(path="/jobs$", action=NO_KEYSET))
        error = faults.Answer(status=500, body='{"message":"500 Internal Server Error"}')
        scene.world.faults.add(Fault(path="/jobs$", action=error, nth=nth, times=times))
        assert set(await entries(scene.client.project_jobs(scene.project.id))) == expected
        assert {int(query["per_page"]) for query in queries(scene, "/jobs")} == sizes


async def test_a_server_that_gives_up_on_ten_rows_too():
    """It is told as passing trouble, after trying the smallest page several times."""
    async with scene_of(attempts=3) as scene:
        scene.world.faults.add(Fault(path="/jobs$", action=faults.Answer(status=500), times=None))
        with pytest.raises(Transient):
            await entries(scene.client.project_jobs(scene.project.id))
        assert [query["per_page"] for query in queries(scene, "/jobs")] == ["100", "50", "25", "10", "10", "10"]


async def test_busy_servers_are_tried_again_with_the_same_page():
    """502 to 504 say nothing of the page's size."""
    async with scene_of(attempts=3) as scene:
        expected = await filled(scene)
        for status in (502, 503):
            scene.world.faults.add(Fault(path="/jobs$", action=faults.Answer(status=status)))
        assert set(await entries(scene.client.project_jobs(scene.project.id))) == expected
        assert {query["per_page"] for query in queries(scene, "/jobs")} == {"100"}


@pytest.mark.parametrize("keyset", [True, False])
async def test_a_list_goes_on_from_a_saved_place(keyset):
    """Another process, new jobs in between: what was not seen comes, by keyset exactly that."""
    async with scene_of() as scene:
        expected = await filled(scene)
        if not keyset:
            scene.world.faults.add(Fault(path="/jobs$", action=NO_KEYSET))
        first = await anext(scene.client.project_jobs(scene.project.id))
        seen = [job.id for job in first.items]
        assert first.next is not None
        scene.world.add_pipeline(scene.project, "main", [JobSpec("new")])
        async with client_of(scene.world.url) as other:
            pages = other.project_jobs(scene.project.id, resume=first.next, priority=Priority.BACKFILL)
            rest = await entries(pages)
        assert set(seen) | set(rest) >= expected
        if keyset:
            assert seen + rest == sorted(expected, reverse=True)


async def test_a_place_holds_no_token():
    """It is saved, and GitLab's links repeat what a request held."""
    link = 'Link: <http://x/api/v4/projects/1/jobs?cursor=c&private_token=SECRET&job_token=SECRET>; rel="next"'
    async with raw_server(script([json_answer([], link)])) as server, client_of(server.url) as client:
        page = await anext(client.project_jobs(1))
        assert page.next == "projects/1/jobs?cursor=c"


async def test_a_relative_url_root_is_kept_from_page_to_page():
    """Though the links name another host."""

    def play(request: Request) -> list[bytes]:
        more = "id_after" not in request.target
        link = 'Link: <https://public.example.com/tools/gitlab/api/v4/projects?id_after=1>; rel="next"'
        return [json_answer([{"id": 1 if more else 2, "path_with_namespace": "a/b"}], *([link] if more else []))]

    async with raw_server(play) as server, client_of(f"{server.url}/tools/gitlab/") as client:
        assert await entries(client.projects()) == [1, 2]
        assert server.requests[1].target == "/tools/gitlab/api/v4/projects?id_after=1"


async def test_pages_that_go_round_in_a_circle_end():
    """A cache that serves one page again and again is told as such."""
    link = 'Link: <http://x/api/v4/projects/1/jobs?cursor=c>; rel="next"'
    async with raw_server(script([json_answer([], link)])) as server, client_of(server.url) as client:
        with pytest.raises(Refused, match="circle"):
            await entries(client.project_jobs(1))
        assert len(server.requests) < 10


def endless(rows: Callable[[int], list[dict[str, object]]]) -> Script:
    """Page after page, each with a link to one that was never asked for."""
    numbers = count(1)

    def play(_: Request) -> list[bytes]:
        number = next(numbers)
        link = f'Link: <http://x/api/v4/projects/1/jobs?cursor=c{number}>; rel="next"'
        return [json_answer(rows(number), link)]

    return play


def job_rows(first: int, many: int = 100) -> list[dict[str, object]]:
    """A page of jobs."""
    return [{"id": first + number, "name": "a", "status": "success"} for number in range(many)]


@pytest.mark.parametrize("period", [1, 5])
async def test_the_same_jobs_under_ever_new_links_end(period):
    """No place comes twice, and no job is new."""
    async with raw_server(endless(lambda number: job_rows(1 + 100 * (number % period)))) as server:
        async with client_of(server.url) as client:
            with pytest.raises(Refused, match="the same entries again and again") as caught:
                await entries(client.project_jobs(1))
        assert caught.value.hint
        assert len(server.requests) < 50


async def test_empty_pages_under_ever_new_links_end():
    """A few of them may be."""
    async with raw_server(endless(lambda _: [])) as server, client_of(server.url) as client:
        with pytest.raises(Refused, match="100 pages in a row with nothing on them"):
            await entries(client.project_jobs(1))
        assert len(server.requests) == 100


async def test_trigger_jobs_without_an_end_are_refused():
    """What they lead to is held in memory: ever new ones end as those of no pipeline."""
    async with raw_server(endless(lambda number: job_rows(1 + number, 1))) as server:
        async with client_of(server.url) as client:
            with pytest.raises(Refused, match="does not end after 1000 pages"):
                await entries(client.trigger_jobs(1, 2))
        assert len(server.requests) == 1000


@pytest.mark.parametrize("url", ["https://[bad/api/v4/projects?page=2", "https://elsewhere.example.com/steal"])
async def test_a_link_that_leads_nowhere(url):
    """Nothing but the API is asked with the token."""
    async with raw_server(script([json_answer([], f'Link: <{url}>; rel="next"')])) as server:
        async with client_of(server.url) as client:
            with pytest.raises(Refused, match="outside the API"):
                await entries(client.project_jobs(1))
        assert len(server.requests) == 1


async def test_an_entry_that_is_not_understood_is_counted():
    """The rest of the page survives."""
    jobs = [{"id": 3, "name": "a", "status": "new_status"}, {"id": "x"}, {"id": 1, "name": "b", "status": "success"}]
    async with raw_server(script([json_answer(jobs)])) as server, client_of(server.url) as client:
        (page,) = [page async for page in client.project_jobs(1)]
        assert [job.id for job in page.items] == [3, 1]
        assert page.undecodable == 1


async def test_a_throttled_client_waits_for_the_window_to_end():
    """All requests pause for as long as the server says, and none is lost."""
    async with scene_of(attempts=2) as scene:
        expected = await filled(scene, 500)
        scene.world.limits.throttle = Throttle(limit=2)
        assert set(await entries(scene.client.project_jobs(scene.project.id))) == expected
        assert scene.statuses("/jobs") == [200, 200, 429, 200, 200, 429, 200, 200]
        assert sum(scene.clock.sleeps) >= 60


async def test_a_quota_that_is_announced_is_not_overdrawn():
    """Newer servers say on every answer what is left: at nothing left the client waits by itself."""
    async with scene_of() as scene:
        expected = await filled(scene, 500)
        scene.world.limits.throttle = Throttle(limit=2, announce=True)
        assert set(await entries(scene.client.project_jobs(scene.project.id))) == expected
        assert set(scene.statuses("/jobs")) == {200}


async def test_an_endpoints_own_limit_holds_up_that_endpoint_alone():
    """It answers in JSON and says nothing of how long; other requests go on without a wait."""
    async with scene_of() as scene:
        scene.world.limits.jobs_index = Quota(limit=0)
        with pytest.raises(Throttled) as caught:
            await entries(scene.client.project_jobs(scene.project.id))
        assert caught.value.retry_after is not None
        await scene.client.version()
        assert scene.clock.sleeps == []


async def test_a_throttled_request_holds_up_all_others():
    """Rack::Attack counts every request of this user."""
    async with scene_of() as scene:
        scene.world.limits.throttle = Throttle(limit=0)
        with pytest.raises(Throttled) as caught:
            await scene.client.version()
        scene.world.limits.throttle = None
        assert caught.value.retry_after == 60
        assert scene.client._budget.factor == 0.9
        await scene.client.project(scene.project.id)
        assert sum(scene.clock.sleeps) >= 60


async def test_an_endpoints_own_limit_is_waited_for():
    """It counts by the minute."""
    async with scene_of(attempts=5) as scene:
        expected = await filled(scene, 500)
        scene.world.limits.jobs_index = Quota(limit=3)
        assert set(await entries(scene.client.project_jobs(scene.project.id))) == expected
        assert 429 in scene.statuses("/jobs")


async def test_a_moved_project_is_found_at_the_configured_address():
    """The redirect names the external URL, which is not where the client reaches GitLab."""
    async with scene_of() as scene:
        scene.world.external_url = "https://public.example.com:9443"
        scene.world.move(scene.project, "acme/renamed")
        found = await scene.client.project("acme/app")
        assert (found.id, found.path_with_namespace) == (scene.project.id, "acme/renamed")
        assert scene.statuses() == [301, 200]


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example.com/other",
        "http://[bad/api/v4/version",
        "https://user:SECRET@elsewhere.example.com/api/v4/version?private_token=SECRET",
        "",
    ],
)
async def test_a_redirect_of_the_api_to_elsewhere(location):
    """It is told without what may be secret in it, and the token goes nowhere."""
    answer = whole(b"", f"Location: {location}", status="301 Moved Permanently")
    async with raw_server(script([answer])) as server, client_of(server.url) as client:
        with pytest.raises(Refused) as caught:
            await client.version()
        assert "SECRET" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.hint


@pytest.mark.parametrize("action", [faults.SignIn(), faults.SignInPage()])
async def test_the_sign_in_page_in_place_of_json(action):
    """Single sign-on in front of the API is a matter of the credential."""
    async with scene_of() as scene:
        scene.world.faults.add(Fault(action=action))
        with pytest.raises(CredentialRefused, match="sign-in"):
            await entries(scene.client.project_jobs(scene.project.id))


async def test_a_refused_token_is_not_shown_again_until_it_changes(tmp_path):
    """Any number of calls makes one request; a new token in its place is taken at once."""
    file = tmp_path / "token"
    file.write_text("glpat-wrong-wrong-wrong-wrong")
    async with scene_of(token=FileToken(file)) as scene:
        for _ in range(5):
            with pytest.raises(CredentialRefused, match="401"):
                await scene.client.version()
            with pytest.raises(CredentialRefused, match="401"):
                await entries(scene.client.project_jobs(scene.project.id))
            with pytest.raises(CredentialRefused, match="401"):
                await downloaded(scene.client, scene.source)
        assert scene.statuses() == [401]
        scene.clock.jump(301)
        with pytest.raises(CredentialRefused):
            await scene.client.version()
        assert scene.statuses() == [401, 401]
        file.write_text(TOKEN)
        await scene.client.version()


async def test_what_a_job_token_may_not_do_does_not_close_the_rest():
    """GET /version refuses it, the job list does not."""
    async with scene_of(token=token("glcbt-64_job-token-of-no-worth", TokenKind.JOB)) as scene:
        running = scene.world.add_pipeline(scene.project, "main", [JobSpec("mirror")]).jobs[0]
        scene.world.start(running)
        scene.world.add_token(SimToken(value="glcbt-64_job-token-of-no-worth", kind="job", job_id=running.id))
        with pytest.raises((CredentialRefused, NotFound)):
            await scene.client.version()
        assert running.id in await entries(scene.client.project_jobs(scene.project.id))


async def test_what_is_not_there_and_what_is_not_allowed():
    """404 and 403 have errors of their own, and are not tried again."""
    async with scene_of(attempts=5) as scene:
        with pytest.raises(NotFound):
            await scene.client.project("acme/none")
        with pytest.raises(NotFound):
            await scene.client.job(scene.project.id, 99)
        scene.project.builds_enabled = False
        with pytest.raises(Denied):
            await entries(scene.client.project_jobs(scene.project.id))
        assert scene.statuses() == [404, 404, 403]

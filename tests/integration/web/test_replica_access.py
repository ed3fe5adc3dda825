"""Who may read what: tokens in every place where GitLab's clients put them, each with its projects."""

import logging

import pytest
from structlog.testing import capture_logs
from yarl import URL

from artifact_sync.core.rules import Fetch
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.errors import CredentialRefused
from artifact_sync.web import Reader
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import ended, request, served, status_of, told

TOKEN = "reader-token-0123456789"
OTHER = "other-token-0123456789"


@pytest.fixture
async def two(world, app, tmp_path):
    """Two mirrored projects."""
    lib = world.add_project("acme/libs/core")
    jobs = [ended(world, app, "a")[0], ended(world, lib, "b")[0]]
    async with rig(world, tmp_path, rule("acme/**", fetch=Fetch())) as daemon:
        await daemon.sync()
        yield daemon, jobs


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"PRIVATE-TOKEN": TOKEN}},
        {"headers": {"JOB-TOKEN": TOKEN}},
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"headers": {"Authorization": f"bearer  {TOKEN}"}},
        {"params": {"private_token": TOKEN}},
        {"params": {"job_token": TOKEN}},
        {"params": {"access_token": TOKEN}},
    ],
)
async def test_a_good_token_opens_wherever_it_is_sent(two, http, sent):
    """Header, bearer or parameter."""
    daemon, jobs = two
    path = f"/projects/1/jobs/{jobs[0].id}/artifacts"
    async with served(daemon, told(OTHER), told(TOKEN)) as replica, http.get(replica.api(path), **sent) as answer:
        assert answer.status == 200


async def test_without_a_good_token_nothing_is_told(two, http):
    """401 in GitLab's shapes, of what is there and what is not; health alone needs none."""
    daemon, jobs = two
    async with served(daemon, told(TOKEN)) as replica:
        for path in (f"/projects/1/jobs/{jobs[0].id}/artifacts", "/projects", "/nothing", "/version"):
            async with http.get(replica.api(path)) as answer:
                assert (answer.status, await answer.json()) == (401, {"message": "401 Unauthorized"})
            for wrong in ("wrong", TOKEN[:-1], TOKEN + "x"):
                async with http.get(replica.api(path), headers={"PRIVATE-TOKEN": wrong}) as answer:
                    assert (answer.status, (await answer.json())["error"]) == (401, "invalid_token")
        async with http.get(f"{replica.url}/livez") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("token", ["\u00e9", "\udcff\udcfe", "\u540d" * 50, "a\u0000b", " ", "x" * 5000])
async def test_a_token_that_is_no_ascii_is_401_and_no_error(two, token):
    """Compared as bytes: the comparison of texts would raise for it."""
    daemon, _ = two
    async with served(daemon, told(TOKEN)) as replica:
        with capture_logs() as logs:
            answer = await replica.raw(request("/api/v4/projects", f"PRIVATE-TOKEN: {token}"))
        assert status_of(answer) in ({400} if "\0" in token else {401})
        assert not [entry for entry in logs if entry["event"] == "http.crashed"]


async def test_a_token_opens_its_projects_and_the_others_are_not_there(two, http):
    """404 as GitLab says of what a token must not know of, in lists and by name."""
    daemon, (first, second) = two
    scoped = told(TOKEN, projects=ProjectSelectors.parse(["acme/libs/**"]))
    headers = {"PRIVATE-TOKEN": TOKEN}
    async with served(daemon, scoped, told(OTHER)) as replica:
        async with http.get(replica.api("/projects"), headers=headers) as answer:
            assert [row["path_with_namespace"] for row in await answer.json()] == ["acme/libs/core"]
        for path in (
            "/projects/1",
            "/projects/acme%2Fapp",
            "/projects/1/jobs",
            f"/projects/1/jobs/{first.id}",
            f"/projects/1/jobs/{first.id}/artifacts",
            "/projects/1/jobs/artifacts/main/download?job=a",
        ):
            url = replica.api(path)
            async with http.get(URL(url, encoded=True), headers=headers) as answer:
                assert (answer.status, await answer.json()) == (404, {"message": "404 Project Not Found"})
            async with http.get(URL(url, encoded=True), headers={"PRIVATE-TOKEN": OTHER}) as answer:
                assert answer.status == 200
        async with http.post(replica.api(f"/projects/1/jobs/{first.id}/artifacts/keep"), headers=headers) as answer:
            assert answer.status == 404
        async with http.get(replica.api(f"/projects/2/jobs/{second.id}/artifacts"), headers=headers) as answer:
            assert answer.status == 200
    assert await daemon.state.pins() == ()


async def test_a_job_of_another_project_is_not_found_under_an_open_one(two, http):
    """The id of a job alone opens nothing."""
    daemon, (first, second) = two
    async with served(daemon) as replica:
        for path in (f"/projects/1/jobs/{second.id}", f"/projects/2/jobs/{first.id}/artifacts"):
            async with http.get(replica.api(path)) as answer:
                assert answer.status == 404


async def test_a_token_that_cannot_be_read_opens_nothing(two, http):
    """Its file is gone: the others go on, and nobody gets in by an empty one."""
    daemon, _ = two

    def gone() -> str:
        raise CredentialRefused("token file /gone", "not there")

    async with served(daemon, Reader(token=gone), told(TOKEN)) as replica:
        for token, status in ((TOKEN, 200), ("", 401), ("x", 401)):
            async with http.get(replica.api("/projects"), headers={"PRIVATE-TOKEN": token}) as answer:
                assert answer.status == status


async def test_no_token_is_repeated_in_links_logs_or_answers(two, http, caplog):
    """Also not of a request that fails."""
    daemon, _ = two
    caplog.set_level(logging.DEBUG)
    async with served(daemon, told(TOKEN)) as replica:
        with capture_logs() as logs:
            query = f"?pagination=keyset&per_page=1&private_token={TOKEN}"
            async with http.get(replica.api(f"/projects{query}")) as answer:
                link = answer.headers["Link"]
                body = await answer.text()
            async with http.get(replica.api(f"/projects/77{query}")) as answer:
                assert answer.status == 404
                body += await answer.text()
    assert "id_before=" in link
    assert TOKEN not in f"{link}{body}{logs}{caplog.text}"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "10.0.0.1"])
async def test_without_tokens_only_names_of_this_machine_are_answered(two, host):
    """A page whose own name leads to loopback (DNS rebinding) is told nothing."""
    daemon, _ = two
    async with served(daemon) as replica:
        assert status_of(await replica.raw(request("/api/v4/projects", host=host))) == 403
        for local in ("localhost", "127.0.0.1:8700", "[::1]:8700", "127.0.0.2"):
            assert status_of(await replica.raw(request("/api/v4/projects", host=local))) == 200
    async with served(daemon, told(TOKEN)) as replica:
        answer = await replica.raw(request("/api/v4/projects", f"PRIVATE-TOKEN: {TOKEN}", host=host))
        assert status_of(answer) == 200


async def test_keep_pins_here_and_a_foreign_page_cannot(two, http):
    """200 with the job, which expires no more; the same again is the same. GitLab is not asked."""
    daemon, (job, _) = two
    async with served(daemon) as replica:
        url = replica.api(f"/projects/1/jobs/{job.id}/artifacts/keep")
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with http.post(url, headers=headers) as answer:
                assert (answer.status, await answer.json()) == (403, {"message": "403 Forbidden"})
        assert await daemon.state.pins() == ()
        for _ in range(2):
            async with http.post(url) as answer:
                found = await answer.json()
                assert (answer.status, found["id"], found["artifacts_expire_at"]) == (200, job.id, None)
        async with http.post(replica.api("/projects/1/jobs/999/artifacts/keep")) as answer:
            assert answer.status == 404
    assert [(pin.project_path, pin.job_id) for pin in await daemon.state.pins()] == [("acme/app", job.id)]
    assert not [seen for seen in daemon.world.requests if seen.path.endswith("/keep")]

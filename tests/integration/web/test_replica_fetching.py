"""What is asked for and not mirrored: fetched where a rule selects it, and 404 where none does."""

import anyio
import pytest
from yarl import URL

from artifact_sync.core.selectors import ProjectSelectors
from tests.integration.engine.engine_harness import downloads, rig, rule, running
from tests.integration.web.web_harness import archive_of, ended, served, told


@pytest.fixture
async def idle(world, app, tmp_path):
    """A daemon that has met nothing yet, for jobs of the name ``build``."""
    async with rig(world, tmp_path, rule("acme/*", jobs=["build"])) as daemon:
        yield daemon


async def working(daemon) -> None:
    """Its workers, without discovery."""
    await daemon.engine._workers.run()


async def test_a_selected_job_is_fetched_once_for_all_who_ask(world, app, idle, http):
    """Published under its rule, verified as always, and served to each."""
    (job,) = ended(world, app, "build")
    async with served(idle, read_through=True, wake=idle.engine.wake) as replica, anyio.create_task_group() as group:
        group.start_soon(working, idle)
        got = []

        async def ask(named: str) -> None:
            url = URL(replica.api(f"/projects/{named}/jobs/{job.id}/artifacts"), encoded=True)
            async with http.get(url) as answer:
                got.append((answer.status, await answer.read()))

        async with anyio.create_task_group() as asking:
            for named in ("1", "1", "acme%2Fapp", "1", "1"):
                asking.start_soon(ask, named)
        group.cancel_scope.cancel()
    assert got == [(200, archive_of(job))] * 5
    assert len(downloads(world, job)) == 1
    queued = await idle.transfer(job)
    assert queued.transfer.rules == ("r",)


async def test_what_no_rule_selects_is_404_and_asked_of_gitlab_once(world, app, idle, http):
    """A job that is not meant, and one that is not there: nothing is fetched, and guesses do not cost the quota."""
    (job,) = ended(world, app, "other")
    async with served(idle, read_through=True, wake=idle.engine.wake) as replica:
        for _ in range(3):
            for number in (job.id, 424242):
                async with http.get(replica.api(f"/projects/1/jobs/{number}/artifacts")) as answer:
                    assert answer.status == 404
    seen = [request for request in world.requests if request.path.endswith((f"/jobs/{job.id}", "/jobs/424242"))]
    assert len(seen) == 2
    assert downloads(world) == []


async def test_who_waits_too_long_is_told_to_come_again(world, app, idle, http):
    """While nobody works on it: 503 with Retry-After, and the job stays wanted."""
    (job,) = ended(world, app, "build")
    path = f"/projects/1/jobs/{job.id}/artifacts"
    async with served(idle, read_through=True, wait=0.5) as replica, http.get(replica.api(path)) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert "being fetched" in (await answer.json())["message"]
    assert (await idle.transfer(job)).state == "wanted"


async def test_without_it_nothing_is_fetched(world, app, idle, http):
    """404 in GitLab's words, and no request to GitLab."""
    (job,) = ended(world, app, "build")
    before = world.requests.total
    async with served(idle) as replica, http.get(replica.api(f"/projects/1/jobs/{job.id}/artifacts")) as answer:
        assert (answer.status, await answer.json()) == (404, {"message": "404 Project Not Found"})
    assert world.requests.total == before


async def test_a_token_has_nothing_fetched_for_a_project_that_it_does_not_open(world, app, idle, http):
    """It is 404 before anything is asked."""
    (job,) = ended(world, app, "build")
    scoped = told("reader-token", projects=ProjectSelectors.parse(["acme/other"]))
    before = world.requests.total
    async with served(idle, scoped, read_through=True) as replica:
        url = replica.api(f"/projects/1/jobs/{job.id}/artifacts")
        async with http.get(url, headers={"PRIVATE-TOKEN": "reader-token"}) as answer:
            assert answer.status == 404
    assert world.requests.total == before


async def test_a_running_daemon_serves_what_it_mirrors(world, app, idle, http):
    """Beside discovery, workers and everything else: soon after the job's end it is there."""
    (job,) = ended(world, app, "build")
    async with running(idle), served(idle) as replica:
        status = 0
        while status != 200:
            async with http.get(replica.api(f"/projects/1/jobs/{job.id}/artifacts")) as answer:
                status, body = answer.status, await answer.read()
            await anyio.sleep(0.02)
    assert body == archive_of(job)

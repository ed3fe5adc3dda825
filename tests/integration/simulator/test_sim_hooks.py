"""The simulator's webhooks, as a receiver gets them."""

import asyncio
import base64
import json
import time
from datetime import timedelta

import pytest
from aiohttp import web

from artifact_sync.simulator import JobSpec, SimClock, World, serve, small
from tests.integration.after.hook_receiver import receiver
from tests.integration.engine.engine_harness import until
from tests.webhooks import KEY, SIGNING, hmac_sha256

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world():
    """Served, on a clock that tests move."""
    made = World(clock=SimClock.manual())
    async with serve(made):
        yield made


def kinds(there) -> list[tuple[str, str]]:
    """What came: the kind and the status."""
    events = [json.loads(post.body) for post in there.posts]
    return sorted(
        (event["object_kind"], event.get("build_status") or event["object_attributes"]["status"]) for event in events
    )


async def test_every_change_of_a_status_is_told(world, app):
    """Of jobs and of their pipeline; keeping artifacts is none, and a trigger job has no event."""
    async with receiver() as there:
        world.hooks.add(app, f"{there.url}/hook", token="t")
        specs = [JobSpec("build", archive=small("a")), JobSpec("child", bridge=True, trace=None)]
        job, bridge = world.add_pipeline(app, "main", specs).jobs
        world.start(job)
        world.finish(bridge)
        world.finish(job)
        world.keep(job)
        expected = [
            ("build", "pending"),
            ("build", "running"),
            ("build", "success"),
            ("pipeline", "pending"),
            ("pipeline", "running"),
            ("pipeline", "success"),
        ]
        await until(lambda: len(there.posts) >= len(expected))
        assert kinds(there) == expected


async def test_an_event_says_what_gitlab_says(world, app):
    """A job's kind is build, its commit's id is the pipeline's, nothing about artifacts; a pipeline's names the archive."""
    async with receiver() as there:
        world.hooks.add(app, there.url, token="t")
        (job,) = world.add_pipeline(app, "main", [JobSpec("build", archive=small("a"))]).jobs
        world.finish(job)
        await until(lambda: len(there.posts) == 4)
        events = [json.loads(post.body) for post in there.posts]
        (ended,) = [event for event in events if event.get("build_status") == "success"]
        assert (ended["build_id"], ended["pipeline_id"], ended["project_id"]) == (job.id, job.pipeline.id, app.id)
        assert ended["commit"]["id"] == job.pipeline.id
        assert ended["build_failure_reason"] == "unknown_failure"
        assert ended["build_finished_at"].endswith(" UTC")
        assert "artifacts" not in json.dumps(ended)
        (done,) = [event for event in events if event.get("object_attributes", {}).get("status") == "success"]
        assert done["builds"][0]["artifacts_file"] == {"filename": "artifacts.zip", "size": job.archive.size}
        headers = [post.headers for post in there.posts]
        assert {head["x-gitlab-event"] for head in headers} == {"Job Hook", "Pipeline Hook"}
        assert len({head["idempotency-key"] for head in headers}) == 4
        assert len({head["x-gitlab-event-uuid"] for head in headers}) == 2
        assert {head["x-gitlab-token"] for head in headers} == {"t"}
        assert "webhook-signature" not in headers[0]


async def test_deliveries_are_signed_as_standard_webhooks_say(world, app):
    """An independent computation gives the same; the id is the idempotency key, and the token is sent as well."""
    async with receiver() as there:
        world.hooks.add(app, there.url, token="t", signing=SIGNING, pipeline_events=False)
        world.add_pipeline(app, "main", [JobSpec("build")])
        await until(lambda: len(there.posts) == 1)
        (post,) = there.posts
        head = post.headers
        signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + post.body
        kind, _, value = head["webhook-signature"].partition(",")
        assert (kind, base64.b64decode(value)) == ("v1", hmac_sha256(KEY, signed))
        assert head["webhook-id"] == head["idempotency-key"]
        assert head["webhook-timestamp"] == str(int(world.clock.now().timestamp()))
        assert head["x-gitlab-token"] == "t"


async def test_a_system_hook_hears_of_every_project(world, app):
    """Under its own header; a project's hook hears of that project."""
    other = world.add_project("acme/other")
    async with receiver() as everything, receiver() as one:
        world.hooks.add(None, everything.url, token="t")
        world.hooks.add(app, one.url, token="t")
        for project in (app, other):
            world.add_pipeline(project, "main", [JobSpec("build")])
        await until(lambda: len(everything.posts) == 4 and len(one.posts) == 2)
        assert {post.headers["x-gitlab-event"] for post in everything.posts} == {"System Hook"}


async def test_four_failures_in_a_row_pause_it_and_what_happens_meanwhile_is_told_to_nobody(world, app):
    """For a minute, then two; a good answer makes up for all (auto_disabling.rb)."""
    async with receiver(*(web.Response(status=500) for _ in range(5))) as there:
        hook = world.hooks.add(app, there.url, token="t", pipeline_events=False)

        async def happen(times: int) -> None:
            seen = len(hook.answers) + hook.dropped
            for done in range(seen + 1, seen + times + 1):
                world.add_pipeline(app, "main", [JobSpec("build")])
                while len(hook.answers) + hook.dropped < done:  # noqa: ASYNC110 - a list rings no bell
                    await asyncio.sleep(0.01)

        await happen(6)
        assert (hook.answers, hook.dropped) == ([500] * 4, 2)
        world.clock.advance(MINUTE)
        await happen(2)
        assert (hook.answers, hook.dropped) == ([500] * 5, 3)
        world.clock.advance(MINUTE)
        await happen(1)
        assert hook.dropped == 4
        world.clock.advance(MINUTE)
        await happen(5)
        assert hook.answers[5:] == [204] * 5
        assert hook.failures == 0


async def test_pauses_grow_to_a_day_and_the_fortieth_failure_is_the_last(world, app):
    """Then it is disabled for good."""
    hook = world.hooks.add(app, "http://127.0.0.1:1/", token="t")
    pauses = []
    for _ in range(40):
        assert hook.takes(world.clock.now())
        hook.answered(0, world.clock.now())
        if hook.paused_until is not None:
            pauses.append((hook.paused_until - world.clock.now()) / MINUTE)
            world.clock.advance(hook.paused_until - world.clock.now())
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 24 * 60
    assert hook.over
    world.clock.advance(timedelta(days=365))
    assert not hook.takes(world.clock.now())


@pytest.mark.parametrize(("status", "fails"), [(200, False), (204, False), (302, False), (401, True), (500, True)])
async def test_2xx_and_3xx_are_good_answers(world, app, status, fails):
    """No redirect is followed."""
    async with receiver(web.Response(status=status, headers={"Location": "/elsewhere"})) as there:
        hook = world.hooks.add(app, there.url, token="t", job_events=False)
        world.add_pipeline(app, "main", [JobSpec("build")])
        await until(lambda: hook.answers == [status])
        assert hook.failures == int(fails)
        assert len(there.posts) == 1


async def test_no_answer_in_time_is_a_failure(world, app):
    """Ten seconds, unless a test is in a hurry."""
    async with receiver() as there:

        async def sleep() -> None:
            await asyncio.sleep(5)

        there.meanwhile = sleep
        hook = world.hooks.add(app, there.url, token="t", job_events=False)
        assert hook.timeout == 10.0
        hook.timeout = 0.1
        began = time.monotonic()
        world.add_pipeline(app, "main", [JobSpec("build")])
        await until(lambda: hook.answers == [0])
        assert time.monotonic() - began < 5
        assert hook.failures == 1

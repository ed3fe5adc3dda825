"""Keep over HTTP: done once, with its own token, and never repeated blindly."""

from __future__ import annotations

from datetime import timedelta

import pytest

from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, RemoteError, Transient
from artifact_sync.gitlab import TokenKind
from artifact_sync.simulator import TOKEN, SimToken, Throttle, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import UNSURE, client_of, scene_of, token

READER = "glpat-reader-of-no-worth-0000"


async def test_kept():
    """The job comes back without an expiry, and the server agrees."""
    async with scene_of() as scene:
        assert scene.job.expire_at is not None
        job = await scene.client.keep(scene.project.id, scene.job.id)
        assert (job.id, job.artifacts_expire_at) == (scene.job.id, None)
        assert scene.world.kept_jobs() == [scene.job]
        assert [(seen.method, seen.status) for seen in scene.world.requests] == [("POST", 200)]


async def test_too_late():
    """Past its expiry it cannot be kept, though the file is still there."""
    async with scene_of(attempts=5) as scene:
        scene.clock.jump(timedelta(days=1, minutes=1).total_seconds())
        with pytest.raises(NotFound):
            await scene.client.keep(scene.project.id, scene.job.id)
        assert scene.statuses("/keep") == [404]


async def test_not_allowed():
    """Who may not write on a protected ref, and who may only read."""
    async with scene_of(attempts=5) as scene:
        scene.world.add_token(SimToken(value=TOKEN, role=20))
        with pytest.raises(Denied) as caught:
            await scene.client.keep(scene.project.id, scene.job.id)
        assert "maintenance" in caught.value.hint
        assert scene.statuses("/keep") == [403]


async def test_a_token_that_only_reads():
    """The scope that is missing is named, and reading goes on."""
    async with scene_of(attempts=5) as scene:
        scene.world.add_token(SimToken(value=TOKEN, scopes=("read_api",)))
        with pytest.raises(CredentialRefused) as caught:
            await scene.client.keep(scene.project.id, scene.job.id)
        assert "keep_token" in caught.value.hint
        assert (await scene.client.job(scene.project.id, scene.job.id)).id == scene.job.id
        assert scene.statuses() == [403, 200]


async def test_the_keep_token_is_for_keep_alone():
    """Everything else is asked with the other."""
    async with scene_of(token=token(READER), keep_token=token(TOKEN, TokenKind.BEARER)) as scene:
        scene.world.add_token(SimToken(value=READER, scopes=("read_api",)))
        await scene.client.job(scene.project.id, scene.job.id)
        await scene.client.keep(scene.project.id, scene.job.id)
        reading, keeping = [dict(seen.headers) for seen in scene.world.requests]
        assert (reading["PRIVATE-TOKEN"], keeping["Authorization"]) == (READER, f"Bearer {TOKEN}")
        assert TOKEN not in repr(reading)
        assert READER not in repr(keeping)


async def test_a_refused_keep_token_leaves_the_other_alone():
    """Each has a circuit of its own."""
    async with scene_of(keep_token=token("glpat-wrong-wrong-wrong-wrong")) as scene:
        for _ in range(2):
            with pytest.raises(CredentialRefused):
                await scene.client.keep(scene.project.id, scene.job.id)
        await scene.client.job(scene.project.id, scene.job.id)
        assert scene.statuses() == [401, 200]


@pytest.mark.parametrize("action", UNSURE)
async def test_it_is_not_repeated_when_it_may_have_been_done(action):
    """The caller looks first: nobody knows what a broken answer means for a write."""
    async with scene_of(attempts=5) as scene:
        scene.world.faults.add(Fault(action=action, times=None))
        with pytest.raises(Transient):
            await scene.client.keep(scene.project.id, scene.job.id)
        assert len(scene.statuses("/keep")) == 1


async def test_a_silent_server_is_asked_once():
    """An answer that does not come may be one to a keep that was done."""
    async with raw_server(script([9.0])) as server, client_of(server.url, timeout=0.2, attempts=5) as client:
        with pytest.raises(Transient):
            await client.keep(1, 2)
        assert len(server.requests) == 1


async def test_it_is_repeated_when_it_was_surely_not_done():
    """A quota, and a service that is unavailable, stand in front of it."""
    async with scene_of(attempts=3) as scene:
        scene.world.limits.throttle = Throttle(limit=1)
        await scene.client.version()
        await scene.client.keep(scene.project.id, scene.job.id)
        scene.clock.jump(60)
        scene.world.faults.add(Fault(action=faults.Answer(status=503)))
        await scene.client.keep(scene.project.id, scene.job.id)
        assert scene.statuses("/keep") == [429, 200, 503, 200]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(status):
    """A write goes where it was addressed, or nowhere."""
    async with raw_server(script([whole(b"", "Location: /api/v4/x", status=status)])) as server:
        async with client_of(server.url, attempts=5) as client:
            with pytest.raises(Refused, match="moved"):
                await client.keep(1, 2)
        assert len(server.requests) == 1


async def test_a_success_that_is_no_job():
    """It is an error, and not tried again."""
    async with raw_server(script([whole(b'{"message": "ok"}')])) as server:
        async with client_of(server.url, attempts=5) as client:
            with pytest.raises(RemoteError):
                await client.keep(1, 2)
        assert len(server.requests) == 1

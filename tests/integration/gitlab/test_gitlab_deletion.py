"""Deleting artifacts over HTTP: done once, with the token that may, and never repeated blindly."""

from __future__ import annotations

import pytest

from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, Transient
from artifact_sync.gitlab import TokenKind
from artifact_sync.ports import Priority
from artifact_sync.simulator import TOKEN, SimToken, Throttle, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import UNSURE, client_of, downloaded, scene_of, token

READER = "glpat-reader-of-no-worth-0000"


async def test_deleted():
    """204 without a body; the archive is gone, the job and its log are not."""
    async with scene_of() as scene:
        scene.clock.jump(600)
        await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        job = await scene.client.job(scene.project.id, scene.job.id)
        assert [artifact.file_type for artifact in job.artifacts or ()] == ["trace"]
        with pytest.raises(NotFound):
            await downloaded(scene.client, scene.source)
        assert next((seen.method, seen.status) for seen in scene.world.requests) == ("DELETE", 204)
        assert scene.client.requests[Priority.POLL] == 2


async def test_a_job_that_is_not_there():
    """Or not to be seen; asked once."""
    async with scene_of(attempts=5) as scene:
        with pytest.raises(NotFound):
            await scene.client.delete_artifacts(scene.project.id, 999_999)
        scene.project.visible = False
        with pytest.raises(NotFound):
            await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        assert scene.statuses("/artifacts") == [404, 404]
        assert scene.job.archive is not None


async def test_not_allowed():
    """A Developer may keep and not delete, and in maintenance nobody may."""
    async with scene_of(attempts=5) as scene:
        scene.world.add_token(SimToken(value=TOKEN, role=30))
        with pytest.raises(Denied):
            await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        scene.world.add_token(SimToken(value=TOKEN))
        scene.world.maintenance = True
        with pytest.raises(Denied):
            await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        assert scene.statuses("/artifacts") == [403, 403]
        assert scene.job.archive is not None


async def test_a_token_that_only_reads():
    """The scope that is missing is named."""
    async with scene_of() as scene:
        scene.world.add_token(SimToken(value=TOKEN, scopes=("read_api",)))
        with pytest.raises(CredentialRefused) as caught:
            await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        assert "keep_token" in caught.value.hint


async def test_the_keep_token_deletes():
    """The other one need not be able to write, and is not shown."""
    async with scene_of(token=token(READER), keep_token=token(TOKEN, TokenKind.BEARER)) as scene:
        scene.world.add_token(SimToken(value=READER, scopes=("read_api",)))
        await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        (seen,) = scene.world.requests
        assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
        assert READER not in repr(dict(seen.headers))
        assert scene.job.removed


@pytest.mark.parametrize("action", UNSURE)
async def test_it_is_not_repeated_when_it_may_have_been_done(action):
    """In between somebody may have made new artifacts."""
    async with scene_of(attempts=5) as scene:
        scene.world.faults.add(Fault(action=action, times=None))
        with pytest.raises(Transient):
            await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        assert len(scene.statuses("/artifacts")) == 1


async def test_it_is_repeated_when_it_was_surely_not_done():
    """A quota, and a service that is unavailable, stand in front of it."""
    async with scene_of(attempts=3) as scene:
        scene.world.limits.throttle = Throttle(limit=1)
        await scene.client.version()
        await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        scene.clock.jump(60)
        scene.world.faults.add(Fault(action=faults.Answer(status=503)))
        await scene.client.delete_artifacts(scene.project.id, scene.job.id)
        assert scene.statuses("/artifacts") == [429, 204, 503, 204]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "307 Temporary Redirect", "409 Conflict"])
async def test_what_is_no_success_is_told_and_not_followed(status):
    """A redirect of a write, and 409 while GitLab counts the project's artifacts."""
    async with raw_server(script([whole(b"", "Location: /api/v4/x", status=status)])) as server:
        async with client_of(server.url, attempts=5) as client:
            with pytest.raises(Refused):
                await client.delete_artifacts(1, 2)
        assert [request.method for request in server.requests] == ["DELETE"]

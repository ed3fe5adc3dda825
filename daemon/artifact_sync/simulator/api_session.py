"""Who am I, and what is this server."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.auth import authenticated, caller
from artifact_sync.simulator.harm import SIGN_IN_PAGE
from artifact_sync.simulator.replies import ApiError, missing, reply, world_of

__all__ = ["routes"]


async def _version(request: web.Request) -> web.Response:
    """GET /version; authenticated users only (lib/api/metadata.rb)."""
    authenticated(request)
    world = world_of(request)
    return reply({"version": world.version, "revision": world.revision})


async def _user(request: web.Request) -> web.Response:
    """GET /user (lib/api/users.rb)."""
    token = authenticated(request)
    return reply(entities.user(world_of(request), user_id=token.user_id, username=token.user))


async def _token(request: web.Request) -> web.Response:
    """GET /personal_access_tokens/self (lib/api/personal_access_tokens/self_information.rb): any scope will do."""
    token = caller(request, any_scope=True)
    if token is None:
        raise ApiError(HTTPStatus.UNAUTHORIZED, {"message": "401 Unauthorized"})
    if token.kind != "personal":
        raise ApiError(HTTPStatus.BAD_REQUEST, {"message": "400 Bad request - This endpoint requires token type PAT"})
    return reply(
        {
            "id": token.id,
            "name": token.name,
            "revoked": token.revoked,
            "created_at": "2026-01-01T00:00:00.000Z",
            "description": None,
            "scopes": list(token.scopes),
            "user_id": token.user_id,
            "last_used_at": entities.stamp(world_of(request).clock.now()),
            "active": True,
            "expires_at": token.expires_at.date().isoformat() if token.expires_at else None,
        }
    )


async def _job(request: web.Request) -> web.Response:
    """GET /job: the job of a job token; ``404 Job Not Found`` with any other, 401 with none (lib/api/ci/jobs.rb)."""
    token = authenticated(request, job_token=True)
    world = world_of(request)
    if token.job_id is None:
        raise missing("Job")
    return reply(entities.job(world, world.jobs[token.job_id]))


async def _agents(request: web.Request) -> web.Response:
    """GET /job/allowed_agents (lib/api/ci/jobs.rb)."""
    token = authenticated(request, job_token=True)
    if token.job_id is None:
        raise missing("Job")
    world = world_of(request)
    job = world.jobs[token.job_id]
    group, roles = world.groups[job.project.namespace], ("guest", "reporter", "developer", "maintainer")
    return reply(
        {
            "allowed_agents": [],
            "job": {"id": job.id},
            "pipeline": {"id": job.pipeline.id},
            "project": {"id": job.project.id, "groups": [{"id": group.id}]},
            "user": {
                "id": token.user_id,
                "username": token.user,
                "roles_in_project": roles[: token.role // 10],
            },
        }
    )


async def _sign_in(_: web.Request) -> web.Response:
    """The page that a browser sees, and a client whose session single sign-on took away."""
    return web.Response(text=SIGN_IN_PAGE, content_type="text/html")


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    api = "/api/v4"
    return [
        web.get(f"{api}/version", _version),
        web.get(f"{api}/user", _user),
        web.get(f"{api}/personal_access_tokens/self", _token),
        web.get(f"{api}/job", _job),
        web.get(f"{api}/job/allowed_agents", _agents),
        web.get("/users/sign_in", _sign_in),
    ]

"""Projects and groups."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.auth import authenticated, caller, project_of, sees
from artifact_sync.simulator.paging import keyset_asked, offset_page, per_page, rebuilt
from artifact_sync.simulator.replies import ApiError, flag, missing, reply, world_of
from artifact_sync.simulator.state import SimGroup, SimProject

__all__ = ["routes"]

_RECENT = "last_activity_at"


async def _project(request: web.Request) -> web.Response:
    """GET /projects/:id by id or encoded path (lib/api/projects.rb)."""
    return reply(entities.project(world_of(request), project_of(request, caller(request), builds=False)))


async def _projects(request: web.Request) -> web.Response:
    """GET /projects: keyset by id alone, whose Link carries ``id_after`` or ``id_before``; else offset.

    lib/gitlab/pagination/keyset.rb and keyset/request_context.rb: a full last page still has a Link, and an empty page
    without one ends the walk.
    """
    token, world = caller(request), world_of(request)
    ascending = request.query.get("sort", "desc") == "asc"
    found = _filtered(request, [p for p in world.projects.values() if sees(p, token)])
    if not keyset_asked(request):
        order = _order(request.query.get("order_by", "created_at"))
        page, headers = offset_page(request, sorted(found, key=order, reverse=not ascending), limited="Project")
        return reply([entities.project(world, p) for p in page], headers=headers)
    if request.query.get("order_by", "id") != "id":
        message = "Keyset pagination is not yet available for this type of request"
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, {"error": message})
    if (after := request.query.get("id_after")) is not None:
        found = [p for p in found if p.id > int(after)]
    if (before := request.query.get("id_before")) is not None:
        found = [p for p in found if p.id < int(before)]
    found.sort(key=lambda p: p.id, reverse=not ascending)
    page, headers = found[: per_page(request)], {}
    if len(page) == per_page(request):
        last = str(page[-1].id)
        url = rebuilt(request, **({"id_after": last} if ascending else {"id_before": last}))
        headers["Link"] = f'<{url}>; rel="next"'
    return reply([entities.project(world, p) for p in page], headers=headers)


async def _group(request: web.Request) -> web.Response:
    """GET /groups/:id (lib/api/groups.rb)."""
    world, group = world_of(request), _group_of(request)
    name = group.path.rpartition("/")[2]
    return reply(
        {
            "id": group.id,
            "web_url": f"{world.external_url or world.url}/groups/{group.path}",
            "name": name,
            "path": name,
            "description": "",
            "visibility": "private",
            "full_name": group.path.replace("/", " / "),
            "full_path": group.path,
            "parent_id": None,
        }
    )


async def _group_projects(request: web.Request) -> web.Response:
    """GET /groups/:id/projects: offset alone, ``pagination=keyset`` is ignored (lib/api/groups.rb).

    ``with_shared`` is true by default, so projects of other groups that were shared with this one are listed as well.
    Limited by ApplicationRateLimiter (``group_projects_api``).
    """
    token, world = caller(request), world_of(request)
    quota = world.limits.group_projects
    if quota is not None and quota.refuses(token.user if token else request.remote or "", world.clock.now()):
        raise too_often()
    group = _group_of(request)
    below = flag(request, "include_subgroups")
    found = [
        p
        for p in world.projects.values()
        if p.namespace == group.path or (below and p.namespace.startswith(f"{group.path}/"))
    ]
    if flag(request, "with_shared", default=True):
        found += [p for p in group.shared if p not in found]
    found = _filtered(request, [p for p in found if sees(p, token)])
    order = _order(request.query.get("order_by", "created_at"))
    found.sort(key=order, reverse=request.query.get("sort", "desc") == "desc")
    page, headers = offset_page(request, found)
    return reply([entities.project(world, p) for p in page], headers=headers)


def too_often() -> ApiError:
    """429 of the ApplicationRateLimiter (lib/api/helpers/rate_limiter.rb): JSON, no Retry-After, no RateLimit-*."""
    message = "This endpoint has been requested too many times. Try again later."
    return ApiError(HTTPStatus.TOO_MANY_REQUESTS, {"message": {"error": message}})


def _filtered(request: web.Request, found: list[SimProject]) -> list[SimProject]:
    search = request.query.get("search", "").lower()
    if "archived" in request.query:
        archived = flag(request, "archived")
        found = [p for p in found if p.archived == archived]
    return [p for p in found if search in p.path.lower()]


def _order(field: str) -> Callable[[SimProject], tuple[object, int]]:
    if field == "path":
        return lambda p: (p.path, p.id)
    if field == _RECENT:
        return lambda p: (p.last_activity_at or p.created_at, p.id)
    return lambda p: (p.created_at if field == "created_at" else 0, p.id)


def _group_of(request: web.Request) -> SimGroup:
    authenticated(request)
    name, groups = request.match_info["id"], world_of(request).groups
    found = next((g for g in groups.values() if name in {str(g.id), g.path}), None)
    if found is None:
        raise missing("Group")
    return found


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    api = "/api/v4"
    return [
        web.get(f"{api}/projects", _projects),
        web.get(f"{api}/projects/{{id}}", _project),
        web.get(f"{api}/groups/{{id}}", _group),
        web.get(f"{api}/groups/{{id}}/projects", _group_projects),
    ]

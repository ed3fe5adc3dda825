"""The mirrored projects, and which GitLab this answers like."""

from __future__ import annotations

from aiohttp import web

from artifact_sync import __version__
from artifact_sync.ports.catalogue import MirroredProject
from artifact_sync.web import entities
from artifact_sync.web.answers import ApiError, invalid, reply, tagged
from artifact_sync.web.context import Replica, replica_of
from artifact_sync.web.finding import asked_of, grant_of, project_of
from artifact_sync.web.paging import Asked, after_header, offset_headers, offset_of, page_size

__all__ = ["VERSION", "routes"]

#: The release of GitLab whose answers these are, with a mark that it is none.
VERSION = "18.11.0-artifact-sync"
#: Projects in one read.
_PAGE = 1000


async def _project(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id by id or encoded path."""
    project = await project_of(request)
    return tagged(request, reply(entities.project(project, replica_of(request).gitlab)))


async def _projects(request: web.Request) -> web.StreamResponse:
    """GET /projects: those that are mirrored, by id, newest first; keyset by id, or by number.

    lib/gitlab/pagination/keyset.rb: a full last page still has a Link, and an empty page without one ends the walk.
    """
    replica, asked = replica_of(request), asked_of(request)
    found = [project for project in await _all(replica) if grant_of(request).sees(project)]
    if search := (asked.get("search") or "").lower():
        found = [project for project in found if search in project.path.lower()]
    ascending = asked.get("sort") == "asc"
    found.sort(key=lambda project: project.id, reverse=not ascending)
    if asked.get("pagination") == "keyset":
        page, headers = _keyset(asked, found, ascending=ascending)
    else:
        offset = offset_of(asked)
        page = found[offset.start : offset.start + offset.size]
        more = len(found) > offset.start + offset.size
        headers = offset_headers(asked, offset, more=more, total=len(found))
    rows = [entities.project(project, replica.gitlab) for project in page]
    return tagged(request, reply(rows, headers=headers))


def _keyset(
    asked: Asked, found: list[MirroredProject], *, ascending: bool
) -> tuple[list[MirroredProject], dict[str, str]]:
    if (asked.get("order_by") or "id") != "id":
        raise ApiError(405, {"error": "Keyset pagination is not yet available for this type of request"})
    if (after := asked.get("id_after")) is not None:
        found = [project for project in found if project.id > _id(after, "id_after")]
    if (before := asked.get("id_before")) is not None:
        found = [project for project in found if project.id < _id(before, "id_before")]
    size = page_size(asked)
    page = found[:size]
    if len(page) < size:
        return page, {}
    return page, after_header(asked, {"id_after" if ascending else "id_before": str(page[-1].id)})


def _id(text: str, field: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise invalid(field)
    return int(text[:20])


async def _all(replica: Replica) -> list[MirroredProject]:
    found: list[MirroredProject] = []
    while page := await replica.catalogue.projects(after=found[-1].id if found else 0, limit=_PAGE):
        found += page
    return found


async def _version(request: web.Request) -> web.StreamResponse:
    """GET /version and /metadata."""
    return tagged(request, reply({"version": VERSION, "revision": __version__, "enterprise": False}))


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    api = "/api/v4"
    return [
        web.get(f"{api}/version", _version),
        web.get(f"{api}/metadata", _version),
        web.get(f"{api}/projects", _projects),
        web.get(f"{api}/projects/{{id}}", _project),
    ]

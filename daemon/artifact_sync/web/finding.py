"""From a request to the project and the job that it names."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from artifact_sync.errors import RemoteError
from artifact_sync.ports.catalogue import MirroredJob, MirroredProject
from artifact_sync.web.access import CREDENTIALS, Grant
from artifact_sync.web.answers import ApiError, missing
from artifact_sync.web.context import replica_of
from artifact_sync.web.paging import Asked

__all__ = ["GRANT", "asked_of", "grant_of", "job_of", "number_in", "project_of"]

GRANT = web.RequestKey("grant", Grant)
#: Digits of an id that SQLite can hold.
_DIGITS = 18
#: Seconds after which it is worth while to ask again for what is on its way.
_AGAIN = "10"


def grant_of(request: web.Request) -> Grant:
    """What this request may see."""
    return request[GRANT]


def asked_of(request: web.Request) -> Asked:
    """The request for a list. Its address is the one that the client used, so that links lead back here; no credential is in it.

    GitLab repeats the project's id among the parameters, and so do we.
    """
    query = [(key, value) for key, value in request.query.items() if key not in CREDENTIALS]
    if (named := request.match_info.get("id")) is not None:
        query = [*((key, value) for key, value in query if key != "id"), ("id", named)]
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    scheme = scheme if scheme in {"http", "https"} else request.scheme
    return Asked(f"{scheme}://{request.host}{request.rel_url.raw_path}", tuple(query))


def number_in(request: web.Request, field: str) -> int | None:
    """An id in the path; None for what cannot be one."""
    text = request.match_info[field]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


async def project_of(request: web.Request) -> MirroredProject:
    """The mirrored project by id or encoded path. Raises ApiError 404, also where the token does not open it."""
    found = await _mirrored_project(request)
    if found is None or not grant_of(request).sees(found):
        raise missing("Project")
    return found


async def job_of(request: web.Request, *, fetch: bool = False) -> MirroredJob:
    """The mirrored job by id. With ``fetch`` it is brought where it is not mirrored and that is configured.

    Raises ApiError: 404, 503 while it is on its way and where GitLab does not answer.
    """
    replica, job_id = replica_of(request), number_in(request, "job_id")
    if job_id is None or job_id == 0:
        raise missing()
    project = await _mirrored_project(request)
    if project is not None and not grant_of(request).sees(project):
        raise missing("Project")
    found = await replica.catalogue.job(project.id, job_id) if project is not None else None
    if found is None and fetch and await _brought(request, project, job_id):
        project = await project_of(request)
        found = await replica.catalogue.job(project.id, job_id)
    if project is None:
        raise missing("Project")
    if found is None:
        raise missing()
    return found


async def _mirrored_project(request: web.Request) -> MirroredProject | None:
    catalogue, named = replica_of(request).catalogue, request.match_info["id"]
    if not (named.isascii() and named.isdecimal()):
        return await catalogue.project_named(named)
    project_id = number_in(request, "id")
    found = await catalogue.projects(after=project_id - 1, limit=1) if project_id else ()
    return found[0] if found and found[0].id == project_id else None


async def _brought(request: web.Request, project: MirroredProject | None, job_id: int) -> bool:
    fetches = replica_of(request).fetches
    if fetches is None:
        return False
    named: int | str = project.id if project is not None else request.match_info["id"]
    # Nothing is asked of GitLab for a project that the token may not open, as far as its name or id tells.
    told = MirroredProject(id=number_in(request, "id") or 0, path=str(named))
    if project is None and not grant_of(request).sees(told):
        return False
    if isinstance(named, str) and named.isdecimal():
        named = number_in(request, "id") or 0
    try:
        return await fetches.bring(named, job_id) is not None
    except TimeoutError:
        why = "it is being fetched: ask again"
    except RemoteError:
        why = "GitLab does not answer"
    headers = {"Retry-After": _AGAIN}
    raise ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE, {"message": f"503 Service Unavailable: {why}"}, headers=headers
    ) from None

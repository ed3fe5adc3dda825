"""Why a job is mirrored, or is not, as ``artifact-sync explain`` says it."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from anyio import fail_after

from artifact_sync.engine import Explanation
from artifact_sync.errors import ArtifactSyncError, NotFound, RemoteError, UsageError
from artifact_sync.gitlab import job_url_parts
from artifact_sync.ports.catalogue import MirroredProject
from artifact_sync.web.access import Grant
from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import dashboard_of
from artifact_sync.web.dashboard.entering import page
from artifact_sync.web.dashboard.pages import pages_of
from artifact_sync.web.finding import grant_of

__all__ = ["routes"]

#: Seconds for GitLab's answers, and characters of an address.
_PATIENCE = 30.0
_LONGEST = 2000
_DIGITS = 18


@page
async def _explain(request: web.Request) -> web.StreamResponse:
    """GET /explain with ``job``, the address of a job's page: every rule with its conditions, and what the mirror has."""
    asked = request.query.get("job", "").strip()[:_LONGEST]
    explanation: Explanation | None = None
    error: ArtifactSyncError | None = None
    status = HTTPStatus.OK
    # Each answer costs requests of GitLab: not for a page of another site that links here, or has an image of it.
    if asked and request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
        try:
            explanation = await _explained(request, asked)
        except UsageError as refused:
            error, status = refused, HTTPStatus.BAD_REQUEST
        except NotFound:
            error, status = _unknown(), HTTPStatus.NOT_FOUND
        except RemoteError as failed:
            error, status = failed, HTTPStatus.BAD_GATEWAY
        except TimeoutError:
            what = f"GitLab did not answer within {_PATIENCE:.0f} seconds"
            error, status = ArtifactSyncError(what, hint="Ask again."), HTTPStatus.GATEWAY_TIMEOUT
    return pages_of(request).answer(
        "explain",
        status=status,
        here="explain",
        readers=replica_of(request).readers,
        asked=asked,
        explanation=explanation,
        error=error,
        example=f"{replica_of(request).gitlab}/group/project/-/jobs/123",
        now=replica_of(request).clock.now(),
        gitlab=replica_of(request).gitlab,
    )


async def _explained(request: web.Request, asked: str) -> Explanation:
    """Raises UsageError, RemoteError, StateError, TimeoutError."""
    replica, dashboard, grant = replica_of(request), dashboard_of(request), grant_of(request)
    named, job_id = job_url_parts(asked, replica.gitlab)
    if len(str(job_id)) > _DIGITS:
        raise _unknown()
    known = await _mirrored(request, named)
    # Nothing is asked of GitLab for a project that the token may not open, as far as its name or id tells.
    told = known or MirroredProject(id=int(named) if _is_id(named) else 0, path="" if _is_id(named) else named)
    if not _open(grant, told):
        raise NotFound("", "")
    with fail_after(_PATIENCE):
        async with dashboard.explaining:
            if known is None:
                project = await dashboard.remote.project(int(named) if _is_id(named) else named)
                known = MirroredProject(id=project.id, path=project.path_with_namespace)
                if not _open(grant, known):
                    raise NotFound("", "")
            explanation = await dashboard.explains.explain(known.id, job_id)
    now = explanation.candidate.project
    if not _open(grant, MirroredProject(id=now.id, path=now.path_with_namespace)):
        raise NotFound("", "")
    return explanation


async def _mirrored(request: web.Request, named: str) -> MirroredProject | None:
    projects = await dashboard_of(request).browsing.projects()
    if _is_id(named):
        return next((project for project in projects if project.id == int(named)), None)
    return next((project for project in projects if project.path == named), None)


def _is_id(named: str) -> bool:
    return named.isascii() and named.isdecimal() and len(named) <= _DIGITS


def _open(grant: Grant, project: MirroredProject) -> bool:
    return grant.everything or grant.sees(project)


def _unknown() -> UsageError:
    return UsageError(
        "there is no such job, or this token does not open it",
        hint="Copy the address of the job's page. GitLab hides what a token may not see.",
    )


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [web.get("/explain", _explain)]

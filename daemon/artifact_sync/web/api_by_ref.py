"""Artifact files by ref and job name."""

from __future__ import annotations

from aiohttp import web

from artifact_sync.core.by_ref import latest_successful
from artifact_sync.core.model import Job
from artifact_sync.ports.catalogue import Catalogue, MirroredJob
from artifact_sync.web.answers import ApiError, flag, missing
from artifact_sync.web.artifacts import archive_answer, file_answer
from artifact_sync.web.context import replica_of
from artifact_sync.web.finding import project_of

__all__ = ["routes"]

#: Rows in one read, and mirrored publications of a ref that are looked through at most.
_PAGE, _MOST = 200, 2000


async def _found(request: web.Request) -> MirroredJob:
    project = await project_of(request)
    name, ref = request.query.get("job"), request.match_info["ref"]
    if name is None:
        raise ApiError(400, {"error": "job is missing"})
    catalogue = replica_of(request).catalogue
    jobs = await _on_ref(catalogue, project.id, ref)
    if not jobs:
        raise missing()
    found = latest_successful(jobs, name, search=flag(request, "search_recent_successful_pipelines"))
    mirrored = await catalogue.job(project.id, found.id) if found is not None else None
    if mirrored is None:
        raise missing("Job")
    return mirrored


async def _on_ref(catalogue: Catalogue, project_id: int, ref: str) -> list[Job]:
    jobs: list[Job] = []
    before: int | None = None
    while len(jobs) < _MOST and (page := await catalogue.on_ref(project_id, ref, before=before, limit=_PAGE)):
        jobs += page
        before = page[-1].id
    return jobs


async def _download(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/download?job= ; the ref may contain bare slashes."""
    return await archive_answer(request, await _found(request))


async def _raw(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/raw/*path?job= ."""
    return await file_answer(request, await _found(request), request.match_info["path"])


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs/artifacts"
    return [
        web.get(f"{base}/{{ref:.+}}/download", _download),
        web.get(f"{base}/{{ref:.+?}}/raw/{{path:.+}}", _raw),
    ]

"""Artifact files by ref and job name."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator.api_artifacts import archive_answer, file_answer
from artifact_sync.simulator.auth import caller, project_of
from artifact_sync.simulator.expiry import newest_successful
from artifact_sync.simulator.replies import ApiError, missing, world_of
from artifact_sync.simulator.state import SimJob

__all__ = ["routes"]


def _found(request: web.Request) -> SimJob:
    """``latest_successful_build_for_ref!`` (app/models/project.rb, app/models/ci/pipeline.rb).

    The newest successful pipeline of the ref, and no other; in it or its child pipelines (parent first) the first job
    of that name that is not superseded and has any artifact, even if only a report, in which case the archive is 404
    in the end. The job's own status does not matter.
    """
    project = project_of(request, caller(request, job_token=True))
    name, ref = request.query.get("job"), request.match_info["ref"]
    if name is None:
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": "job is missing"})
    pipelines = [p for tag in (False, True) for p in project.by_ref.get((ref, tag), [])]
    newest = newest_successful(sorted(pipelines, key=lambda p: p.id))
    if newest is None:
        raise missing()
    for pipeline in newest.family():
        for job in pipeline.jobs:
            if job.name == name and not job.retried and (job.archive is not None or job.reports):
                return job
    raise missing("Job")


async def _download(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/download?job= ; the ref may contain bare slashes."""
    return archive_answer(request, world_of(request), _found(request))


async def _raw(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/raw/*path?job= ; without a look at the expiry."""
    return file_answer(request, world_of(request), _found(request), request.match_info["path"])


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs/artifacts"
    return [
        web.get(f"{base}/{{ref:.+}}/download", _download),
        web.get(f"{base}/{{ref:.+?}}/raw/{{path:.+}}", _raw),
    ]

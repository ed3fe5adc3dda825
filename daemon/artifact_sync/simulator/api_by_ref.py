"""Artifact files by ref and job name."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator.api_artifacts import archive_answer, file_answer, readable
from artifact_sync.simulator.auth import caller, project_of
from artifact_sync.simulator.expiry import newest_successful
from artifact_sync.simulator.replies import ApiError, flag, missing, since, world_of
from artifact_sync.simulator.state import SimJob, SimPipeline

__all__ = ["routes"]


#: ``search_recent_successful_pipelines`` of the archive and of single files (lib/api/ci/job_artifacts.rb); a flag before 18.10.
_RECENT_SINCE, _RECENT_FILES_SINCE = "18.7", "18.9"
_RECENT = 100


def _found(request: web.Request, recent_since: str) -> SimJob:
    """``latest_successful_build_for_ref!`` (app/models/project.rb, app/models/ci/pipeline.rb).

    The newest successful pipeline of the ref, and no other; in it or its child pipelines (parent first) the first job
    of that name that is not superseded and has any artifact, even if only a report, in which case the archive is 404
    in the end. The job's own status does not matter. With ``search_recent_successful_pipelines`` the last hundred successful
    pipelines are looked through, the newest first (https://docs.gitlab.com/api/job_artifacts/).
    """
    token = caller(request, job_token=True)
    project = project_of(request, token)
    name, ref = request.query.get("job"), request.match_info["ref"]
    if name is None:
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": "job is missing"})
    pipelines = [p for tag in (False, True) for p in project.by_ref.get((ref, tag), [])]
    pipelines.sort(key=lambda p: p.id)
    if flag(request, "search_recent_successful_pipelines") and since(world_of(request), recent_since):
        successful = [p for p in reversed(pipelines) if p.status == "success"][:_RECENT]
    elif (newest := newest_successful(pipelines)) is not None:
        successful = [newest]
    else:
        raise missing()
    found = next((job for top in successful if (job := _job_in(top, name)) is not None), None)
    if found is None:
        raise missing("Job")
    readable(found, token)
    return found


def _job_in(top: SimPipeline, name: str) -> SimJob | None:
    jobs = (job for pipeline in top.family() for job in pipeline.jobs)
    return next((j for j in jobs if j.name == name and not j.retried and (j.archive is not None or j.reports)), None)


async def _download(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/download?job= ; the ref may contain bare slashes."""
    return archive_answer(request, world_of(request), _found(request, _RECENT_SINCE))


async def _raw(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/artifacts/:ref/raw/*path?job= ; without a look at the expiry."""
    found = _found(request, _RECENT_FILES_SINCE)
    return file_answer(request, world_of(request), found, request.match_info["path"])


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs/artifacts"
    return [
        web.get(f"{base}/{{ref:.+}}/download", _download),
        web.get(f"{base}/{{ref:.+?}}/raw/{{path:.+}}", _raw),
    ]

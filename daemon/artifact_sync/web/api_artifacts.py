"""Artifact files by job id, and the pin that ``keep`` is here."""

from __future__ import annotations

import re
from dataclasses import replace

from aiohttp import web

from artifact_sync.ports import PinnedJob
from artifact_sync.web import entities
from artifact_sync.web.answers import ApiError, forbidden, reply
from artifact_sync.web.artifacts import archive_answer, file_answer, report_answer, tree_answer
from artifact_sync.web.context import replica_of
from artifact_sync.web.finding import job_of, project_of

__all__ = ["routes"]

_TYPE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
#: Not given out by that parameter (app/models/concerns/enums/ci/job_artifact.rb, DOWNLOADABLE_TYPES).
_NOT_GIVEN = frozenset({"metadata", "trace"})
_REASON = "keep, asked over HTTP"


async def _archive(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/:job_id/artifacts (lib/api/ci/job_artifacts.rb); ``file_type`` gives a mirrored report."""
    kind = request.query.get("file_type", "archive")
    if kind in _NOT_GIVEN or not _TYPE.fullmatch(kind):
        raise ApiError(400, {"error": "file_type does not have a valid value"})
    job = await job_of(request, fetch=True)
    return await (archive_answer(request, job) if kind == "archive" else report_answer(request, job, kind))


async def _file(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/:job_id/artifacts/*path; ``tree`` is the list, as in GitLab since 18.8."""
    job, path = await job_of(request, fetch=True), request.match_info["path"]
    return await (tree_answer(request, job) if path == "tree" else file_answer(request, job, path))


async def _keep(request: web.Request) -> web.StreamResponse:
    """POST .../jobs/:job_id/artifacts/keep: 200 with the job. Retention leaves its publications alone from now on.

    GitLab is not asked: what is mirrored here does not expire there.
    """
    # A page of another site can have a browser send this, where no token is asked for.
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} or "Origin" in request.headers:
        raise forbidden()
    project, job, replica = await project_of(request), await job_of(request), replica_of(request)
    if not job.pinned:
        pinned = PinnedJob(
            project_id=project.id,
            project_path=project.path,
            job_id=job.job.id,
            at=replica.clock.now(),
            reason=_REASON,
        )
        await replica.pins.pin(pinned)
    return reply(entities.job(replace(job, pinned=True)))


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs/{job_id:\\d+}/artifacts"
    return [
        web.get(base, _archive),
        web.post(f"{base}/keep", _keep),
        web.get(f"{base}/{{path:.+}}", _file),
    ]

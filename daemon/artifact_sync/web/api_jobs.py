"""Lists of jobs, one job, and its log."""

from __future__ import annotations

from aiohttp import web

from artifact_sync.web import entities
from artifact_sync.web.answers import ApiError, flag, invalid, missing, reply, tagged
from artifact_sync.web.artifacts import trace_answer
from artifact_sync.web.context import replica_of
from artifact_sync.web.finding import asked_of, job_of, number_in, project_of
from artifact_sync.web.paging import cursor_headers, cursor_id, offset_headers, offset_of, page_size

__all__ = ["routes"]

#: app/models/concerns/ci/has_status.rb, AVAILABLE_STATUSES.
_STATUSES = frozenset(
    {
        *("created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "success"),
        *("failed", "canceling", "canceled", "skipped", "manual", "scheduled"),
    }
)
#: Rows before a page by number; GitLab's own limit is 50,000 (https://docs.gitlab.com/administration/instance_limits/).
_DEEPEST = 50_000
#: Jobs of one pipeline.
_PIPELINE = 10_000


async def _jobs(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs (lib/api/ci/jobs.rb), newest id first: by cursor, or by number without totals."""
    project, wanted, asked = await project_of(request), _scopes(request), asked_of(request)
    catalogue = replica_of(request).catalogue
    if asked.get("pagination") == "keyset":
        size = page_size(asked)
        found = await catalogue.jobs(project.id, before=cursor_id(asked), statuses=wanted, limit=size + 1)
        page = found[:size]
        headers = cursor_headers(asked, page[-1].job.id if len(found) > size else None)
    else:
        offset = offset_of(asked)
        if offset.start + offset.size > _DEEPEST:
            message = (
                f"Offset pagination has a maximum allowed offset of {_DEEPEST} for requests that return objects of type "
                "Ci::Build. Remaining records can be retrieved using keyset pagination."
            )
            raise ApiError(405, {"error": message})
        found = await catalogue.jobs(
            project.id, before=None, statuses=wanted, limit=offset.size + 1, offset=offset.start
        )
        page = found[: offset.size]
        headers = offset_headers(asked, offset, more=len(found) > offset.size)
    return tagged(request, reply([entities.job(job) for job in page], headers=headers))


async def _pipeline_jobs(request: web.Request) -> web.StreamResponse:
    """GET .../pipelines/:pipeline_id/jobs (app/finders/ci/jobs_finder.rb): superseded ones with ``include_retried`` alone.

    404 for a pipeline of which nothing is mirrored.
    """
    project, wanted, asked = await project_of(request), _scopes(request), asked_of(request)
    pipeline_id = number_in(request, "pipeline_id")
    catalogue = replica_of(request).catalogue
    found = await catalogue.pipeline(project.id, pipeline_id, limit=_PIPELINE) if pipeline_id else ()
    if not found:
        raise missing()
    if not flag(request, "include_retried"):
        # Newest first: whoever comes later under the same name was superseded.
        found = tuple({job.job.name: job for job in reversed(found)}.values())
    rows = sorted((job for job in found if not wanted or job.job.status in wanted), key=lambda job: -job.job.id)
    offset = offset_of(asked)
    page = rows[offset.start : offset.start + offset.size]
    more = len(rows) > offset.start + offset.size
    headers = offset_headers(asked, offset, more=more, total=len(rows))
    return tagged(request, reply([entities.job(job) for job in page], headers=headers))


async def _job(request: web.Request) -> web.StreamResponse:
    """GET /projects/:id/jobs/:job_id."""
    return tagged(request, reply(entities.job(await job_of(request, fetch=True))))


async def _trace(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/:job_id/trace."""
    return await trace_answer(request, await job_of(request, fetch=True))


def _scopes(request: web.Request) -> frozenset[str]:
    """Statuses in ``scope[]`` or ``scope``; none for all. Raises ApiError 400 for one that GitLab does not know."""
    wanted = frozenset({*request.query.getall("scope[]", []), *request.query.getall("scope", [])})
    if not wanted <= _STATUSES:
        raise invalid("scope")
    return wanted


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    project = "/api/v4/projects/{id}"
    one = f"{project}/jobs/{{job_id:\\d+}}"
    return [
        web.get(f"{project}/jobs", _jobs),
        web.get(one, _job),
        web.get(f"{one}/trace", _trace),
        web.get(f"{project}/pipelines/{{pipeline_id}}/jobs", _pipeline_jobs),
    ]

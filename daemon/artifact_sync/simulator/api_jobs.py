"""Jobs: the list, one job, its log, and what can be done to it."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.api_projects import too_often
from artifact_sync.simulator.auth import authenticated, job_of, project_of
from artifact_sync.simulator.paging import cursor_of, cursor_page, keyset_asked, offset_page
from artifact_sync.simulator.replies import ApiError, forbidden, invalid, reply, world_of
from artifact_sync.simulator.state import SimJob, SimProject
from artifact_sync.simulator.tokens import DEVELOPER, SimToken
from artifact_sync.simulator.world import World

__all__ = ["routes", "scopes", "writable"]

#: app/models/concerns/ci/has_status.rb, AVAILABLE_STATUSES.
_STATUSES = frozenset(
    {
        *("created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "success"),
        *("failed", "canceling", "canceled", "skipped", "manual", "scheduled"),
    }
)


async def _jobs(request: web.Request) -> web.Response:
    """GET /projects/:id/jobs (lib/api/ci/jobs.rb, 18.x): every build of the project, newest id first.

    Superseded jobs and those of child pipelines are in it, trigger jobs are not; nobody is anonymous here, even where
    the project is public. Keyset with a cursor, or offset without totals. Limited per user (``jobs_index``).
    """
    token = authenticated(request, job_token=True)
    world = world_of(request)
    quota = world.limits.jobs_index
    if quota is not None and quota.refuses(token.user, world.clock.now()):
        raise too_often()
    project, wanted = project_of(request, token), scopes(request)
    if keyset_asked(request):
        page, headers = cursor_page(request, _walk(world, project, wanted, cursor_of(request)), lambda job: job.id)
    else:
        limited = "Ci::Build" if world.enforce_jobs_offset_limit else None
        page, headers = offset_page(request, _walk(world, project, wanted, None), counted=False, limited=limited)
    return reply([entities.job(world, job) for job in page], headers=headers)


def _walk(world: World, project: SimProject, wanted: set[str], before: int | None) -> Iterator[SimJob]:
    jobs = project.jobs
    at = len(jobs) if before is None else bisect.bisect_left(jobs, before, key=lambda job: job.id)
    for job in world.replica.jobs(jobs[index] for index in range(at - 1, -1, -1)):
        if not job.spec.bridge and (not wanted or job.status in wanted):
            yield job


def scopes(request: web.Request) -> set[str]:
    """Statuses in ``scope[]`` or ``scope``; empty for all.

    A status that this version does not know makes the whole request a 400.
    """
    wanted = {*request.query.getall("scope[]", []), *request.query.getall("scope", [])}
    if not wanted <= _STATUSES:
        raise invalid("scope")
    return wanted


async def _job(request: web.Request) -> web.Response:
    """GET /projects/:id/jobs/:job_id; no job token opens it (lib/api/ci/jobs.rb)."""
    job = job_of(request, project_of(request, authenticated(request)))
    return reply(entities.job(world_of(request), job))


async def _trace(request: web.Request) -> web.Response:
    """GET .../jobs/:job_id/trace (lib/api/ci/jobs.rb): plain text without ranges; 200 and empty where there is none.

    The misspelt disposition is GitLab's. It grows while the job runs.
    """
    job = job_of(request, project_of(request, authenticated(request)))
    headers = {"Content-Disposition": f'infile; filename="{job.id}.log"', "Content-Type": "text/plain"}
    return web.Response(body=job.trace, headers=headers)


def writable(job: SimJob, token: SimToken) -> None:
    """403 unless the bearer may change this job: Developer, and on a protected ref the right to push there.

    app/policies/ci/build_policy.rb, ``prevent all_job_write_abilities``.
    """
    guarded = job.pipeline.ref in job.project.protected_refs
    if token.role < DEVELOPER or (guarded and not token.protected):
        raise forbidden()


def _verb(act: Callable[[World, SimJob], SimJob], status: int, refusal: ApiError) -> Callable[..., object]:
    async def handler(request: web.Request) -> web.Response:
        token = authenticated(request)
        job, world = job_of(request, project_of(request, token)), world_of(request)
        writable(job, token)
        try:
            changed = act(world, job)
        except ValueError as wrong:
            raise refusal from wrong
        return reply(entities.job(world, changed), status=status)

    return handler


def _verbs() -> dict[str, Callable[..., object]]:
    """POST .../jobs/:job_id/(retry|play|cancel|erase) (lib/api/ci/jobs.rb): 201 with the job, but 200 for play."""
    unplayable = ApiError(HTTPStatus.BAD_REQUEST, {"message": "400 Bad request - Unplayable Job"})
    return {
        "retry": _verb(World.retry, HTTPStatus.CREATED, forbidden("Job is not retryable")),
        "play": _verb(World.play, HTTPStatus.OK, unplayable),
        "cancel": _verb(World.cancel, HTTPStatus.CREATED, forbidden("Job is not cancelable")),
        "erase": _verb(World.erase, HTTPStatus.CREATED, forbidden("Job is not erasable!")),
    }


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs"
    one = f"{base}/{{job_id:\\d+}}"
    verbs = [web.post(f"{one}/{name}", handler) for name, handler in _verbs().items()]  # type: ignore[arg-type]
    return [web.get(base, _jobs), web.get(one, _job), web.get(f"{one}/trace", _trace), *verbs]

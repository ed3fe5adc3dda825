"""Jobs: the list, one job, its log, and what can be done to it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.api_projects import too_often
from artifact_sync.simulator.auth import authenticated, job_of, project_of
from artifact_sync.simulator.paging import cursor_of, cursor_page, keyset_asked, offset_page
from artifact_sync.simulator.replies import ApiError, forbidden, invalid, refreshing, reply, since, world_of
from artifact_sync.simulator.state import SimJob, SimProject
from artifact_sync.simulator.tokens import DEVELOPER, MAINTAINER, SimToken
from artifact_sync.simulator.verbs import boolean, cancel, given, inputs, variables
from artifact_sync.simulator.world import World

__all__ = ["routes", "scopes", "writable"]

#: ``job_inputs`` came with 18.10 (https://docs.gitlab.com/api/jobs/); Grape drops what a version does not declare.
_INPUTS_SINCE = "18.10"
#: The user that every job of a world belongs to.
_TRIGGERED_BY = 1
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


async def _cancel(request: web.Request) -> web.Response:
    """POST .../jobs/:job_id/cancel: 201 with the job, whether that changed anything or not; ``force`` is for Maintainers."""
    job, token = _written(request)
    force = boolean(await given(request), "force")
    if force and token.role < MAINTAINER:
        raise forbidden()
    return reply(
        entities.job(world_of(request), cancel(world_of(request), job, force=force)), status=HTTPStatus.CREATED
    )


async def _retry(request: web.Request) -> web.Response:
    """POST .../jobs/:job_id/retry: 201 with the new job. A trigger job can be retried, too."""
    job, _ = _written(request, bridges=True)
    world, params = world_of(request), await given(request)
    try:
        again = world.retry(job)
    except ValueError as wrong:
        raise forbidden("Job is not retryable") from wrong
    again.inputs = inputs(params) if since(world, _INPUTS_SINCE) else {}
    return reply(entities.job(world, again), status=HTTPStatus.CREATED)


async def _play(request: web.Request) -> web.Response:
    """POST .../jobs/:job_id/play: 200 with the job, or the trigger job."""
    job, _ = _written(request, bridges=True)
    world, params = world_of(request), await given(request)
    told = variables(params)
    try:
        world.play(job)
    except ValueError as wrong:
        raise ApiError(HTTPStatus.BAD_REQUEST, {"message": "400 Bad request - Unplayable Job"}) from wrong
    job.variables = told
    job.inputs = inputs(params) if since(world, _INPUTS_SINCE) else {}
    return reply(entities.bridge(world, job) if job.spec.bridge else entities.job(world, job))


async def _erase(request: web.Request) -> web.Response:
    """POST .../jobs/:job_id/erase: 201 with the job.

    For Maintainers, and for who may write and triggered it on an unprotected ref (app/policies/ci/build_policy.rb).
    """
    job, token = _written(request)
    own = token.user_id == _TRIGGERED_BY and job.pipeline.ref not in job.project.protected_refs
    if token.role < MAINTAINER and not own:
        raise forbidden()
    world = world_of(request)
    if not job.finished:
        raise forbidden("Job is not erasable!")
    refreshing(job.project)
    return reply(entities.job(world, world.erase(job)), status=HTTPStatus.CREATED)


def _written(request: web.Request, *, bridges: bool = False) -> tuple[SimJob, SimToken]:
    """The job that is to be changed, and who does it. An archived one is not (app/policies/ci/processable_policy.rb)."""
    token = authenticated(request)
    job = job_of(request, project_of(request, token), bridges=bridges)
    writable(job, token)
    if job.archived:
        raise forbidden()
    return job, token


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/jobs"
    one = f"{base}/{{job_id:\\d+}}"
    verbs = {"cancel": _cancel, "retry": _retry, "play": _play, "erase": _erase}
    posts = [web.post(f"{one}/{name}", handler) for name, handler in verbs.items()]
    return [web.get(base, _jobs), web.get(one, _job), web.get(f"{one}/trace", _trace), *posts]

"""Pipelines, their jobs and their trigger jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.api_jobs import scopes
from artifact_sync.simulator.auth import caller, pipeline_of, project_of
from artifact_sync.simulator.paging import offset_page
from artifact_sync.simulator.replies import flag, forbidden, invalid, reply, since, world_of
from artifact_sync.simulator.state import FINISHED, SimPipeline

__all__ = ["routes"]

#: trigger_jobs replaced bridges in 19.2 (lib/api/ci/pipelines.rb).
_TRIGGER_JOBS_SINCE = "19.2"
Filter = Callable[[SimPipeline], bool]


async def _pipelines(request: web.Request) -> web.Response:
    """GET /projects/:id/pipelines: offset alone, ``pagination=keyset`` is ignored (lib/api/ci/pipelines.rb).

    Child pipelines are left out (``no_child``) unless ``source=parent_pipeline`` asks for them
    (app/finders/ci/pipelines_finder.rb).
    """
    project = project_of(request, caller(request, job_token=True))
    world, query = world_of(request), request.query
    filters = _filters(request)
    found = [p for p in world.replica.pipelines(project.pipelines) if all(holds(p) for holds in filters)]
    if (scope := query.get("scope")) in {"branches", "tags"}:
        newest = {(p.ref, p.tag): p for p in found if p.tag == (scope == "tags")}
        found = sorted(newest.values(), key=lambda p: p.id)
    orders: dict[str, Callable[[SimPipeline], tuple[object, int]]] = {
        "id": lambda p: (0, p.id),
        "status": lambda p: (p.status, p.id),
        "ref": lambda p: (p.ref, p.id),
        "updated_at": lambda p: (p.updated_at, p.id),
        "user_id": lambda p: (0, p.id),
    }
    order = orders.get(query.get("order_by", "id"))
    if order is None:
        raise invalid("order_by")
    found.sort(key=order, reverse=query.get("sort", "desc") == "desc")
    page, headers = offset_page(request, found)
    return reply([entities.pipeline_listed(world, p) for p in page], headers=headers)


def _filters(request: web.Request) -> list[Filter]:
    query = request.query
    source = query.get("source")
    if source is None:
        filters: list[Filter] = [lambda p: p.parent is None]
    else:
        filters = [lambda p: p.source == source]
    for field in ("ref", "status", "sha", "name"):
        if field in query:
            filters.append(_equals(field, query[field]))
    groups = {"running": {"running"}, "pending": {"pending"}, "finished": FINISHED}
    if (scope := query.get("scope")) in groups:
        filters.append(lambda p: p.status in groups[scope])
    for field in ("updated_after", "updated_before", "created_after", "created_before"):
        if field in query:
            filters.append(_time_filter(field, query[field]))
    return filters


def _equals(field: str, wanted: str) -> Filter:
    return lambda p: bool(getattr(p, field) == wanted)


def _time_filter(field: str, text: str) -> Filter:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise invalid(field) from wrong
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    what, _, side = field.partition("_")
    if side == "after":
        return lambda p: bool(getattr(p, f"{what}_at") > when)
    return lambda p: bool(getattr(p, f"{what}_at") < when)


async def _latest(request: web.Request) -> web.Response:
    """GET /projects/:id/pipelines/latest: 403 where the ref has none (lib/api/ci/pipelines.rb)."""
    project = project_of(request, caller(request, job_token=True))
    ref = request.query.get("ref", project.default_branch)
    found = next((p for p in reversed(project.pipelines) if p.ref == ref and p.parent is None), None)
    if found is None:
        raise forbidden()
    return reply(entities.pipeline(world_of(request), found))


async def _pipeline(request: web.Request) -> web.Response:
    """GET /projects/:id/pipelines/:pipeline_id, child pipelines included."""
    project = project_of(request, caller(request, job_token=True))
    return reply(entities.pipeline(world_of(request), pipeline_of(request, project)))


async def _jobs(request: web.Request) -> web.Response:
    """GET .../pipelines/:pipeline_id/jobs: newest id first, offset alone (app/finders/ci/jobs_finder.rb).

    Superseded jobs only with ``include_retried``; never the jobs of child pipelines. An empty list, not 403, where the
    caller may not read builds.
    """
    project = project_of(request, caller(request, job_token=True), builds=False)
    pipeline, world, wanted = pipeline_of(request, project), world_of(request), scopes(request)
    retried = flag(request, "include_retried")
    found = [
        job
        for job in world.replica.jobs(reversed(pipeline.jobs if project.builds_enabled else []))
        if not job.spec.bridge and (retried or not job.retried) and (not wanted or job.status in wanted)
    ]
    page, headers = offset_page(request, found)
    return reply([entities.job(world, job) for job in page], headers=headers)


async def _bridges(request: web.Request) -> web.Response:
    """GET .../pipelines/:pipeline_id/bridges, and trigger_jobs since 19.2 (lib/api/ci/pipelines.rb)."""
    project = project_of(request, caller(request, job_token=True))
    world = world_of(request)
    if request.path.endswith("/trigger_jobs") and not since(world, _TRIGGER_JOBS_SINCE):
        raise web.HTTPNotFound
    wanted = scopes(request)
    found = [
        job
        for job in world.replica.jobs(reversed(pipeline_of(request, project).jobs))
        if job.spec.bridge and (not wanted or job.status in wanted)
    ]
    page, headers = offset_page(request, found)
    return reply([entities.bridge(world, job) for job in page], headers=headers)


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    base = "/api/v4/projects/{id}/pipelines"
    return [
        web.get(base, _pipelines),
        web.get(f"{base}/latest", _latest),
        web.get(f"{base}/{{pipeline_id}}", _pipeline),
        web.get(f"{base}/{{pipeline_id}}/jobs", _jobs),
        web.get(f"{base}/{{pipeline_id}}/bridges", _bridges),
        web.get(f"{base}/{{pipeline_id}}/trigger_jobs", _bridges),
    ]

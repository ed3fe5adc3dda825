"""What is done to jobs over the API, and with which parameters.

lib/api/ci/jobs.rb, 18.x; ``job_inputs``: https://docs.gitlab.com/api/jobs/
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from artifact_sync.simulator.expiry import locked
from artifact_sync.simulator.progress import settle
from artifact_sync.simulator.replies import ApiError
from artifact_sync.simulator.state import SimJob, SimProject
from artifact_sync.simulator.world import World

__all__ = ["boolean", "cancel", "expire_unlocked", "given", "inputs", "variables"]

Params = dict[str, Any]


async def given(request: web.Request) -> Params:
    """The parameters of a write: those of the query, and of a body in JSON, which win. 400 for what is no JSON object."""
    params: Params = dict(request.query)
    if request.content_type == "application/json" and (body := await request.read()):
        try:
            params |= msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as wrong:
            what = "message body does not match declared format"
            raise ApiError(HTTPStatus.BAD_REQUEST, {"error": what}) from wrong
    return params


def boolean(params: Params, field: str) -> bool:
    """A boolean, in JSON or as a word."""
    return str(params.get(field, False)).lower() in {"1", "on", "t", "true", "y", "yes"}


def variables(params: Params) -> dict[str, str]:
    """``job_variables_attributes``: objects with key and value; 400 where one lacks."""
    rows = params.get("job_variables_attributes", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": "job_variables_attributes is invalid"})
    for index, row in enumerate(rows):
        for field in ("key", "value"):
            if field not in row:
                lacks = f"job_variables_attributes[{index}][{field}] is missing"
                raise ApiError(HTTPStatus.BAD_REQUEST, {"error": lacks})
    return {str(row["key"]): str(row["value"]) for row in rows}


def inputs(params: Params) -> dict[str, object]:
    """``job_inputs``: an object. What it says of inputs that the job does not declare is not documented; here: nothing."""
    found = params.get("job_inputs", {})
    if not isinstance(found, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": "job_inputs is invalid"})
    return dict(found)


def cancel(world: World, job: SimJob, *, force: bool) -> SimJob:
    """Cancel what can be canceled; anything else stays as it is, and is no error (``build.cancel`` only answers false).

    A running job whose runner lets ``after_script`` end is ``canceling`` until it has; ``force`` ends such a job, and no other
    (app/models/ci/build.rb, events ``cancel`` and ``force_cancel``).
    """
    if force:
        return world.cancel(job) if job.status == "canceling" else job
    if job.finished or job.status == "canceling":
        return job
    if job.status == "running" and job.spec.cancels_gracefully:
        world.replica.changing(job)
        job.status = "canceling"
        settle(job.pipeline, world.clock.now())
        return job
    return world.cancel(job)


def expire_unlocked(world: World, project: SimProject) -> None:
    """The artifacts of a whole project expire now, but for those that "keep latest" locks."""
    now = world.clock.now()
    for job in project.jobs:
        lasting = job.expire_at is None or job.expire_at > now
        if job.uploaded and not job.removed and lasting and not locked(job.pipeline):
            world.replica.changing(job)
            job.expire_at = now
            world.sweeper.watch(job)

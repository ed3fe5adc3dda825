"""Serving a world: two origins, and what stands in front of GitLab's handlers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from artifact_sync.simulator import (
    api_artifacts,
    api_by_ref,
    api_jobs,
    api_pipelines,
    api_projects,
    api_session,
    backstage,
    storage,
)
from artifact_sync.simulator.auth import presented
from artifact_sync.simulator.delivery import HungUp
from artifact_sync.simulator.harm import harmed
from artifact_sync.simulator.hook_delivery import delivering
from artifact_sync.simulator.replies import WORLD, ApiError, reply, world_of
from artifact_sync.simulator.seen import Origin, RequestSeen
from artifact_sync.simulator.world import World

__all__ = ["Running", "serve"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SOFT = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Running:
    """A served world: GitLab's URL, and that of its object store."""

    url: str
    storage_url: str
    world: World


@asynccontextmanager
async def serve(
    world: World, *, host: str = "127.0.0.1", port: int = 0, storage_port: int = 0
) -> AsyncIterator[Running]:
    """Serve until left; port 0 takes a free one. Raises OSError when a port is taken."""
    gitlab = _application(world, "gitlab", _gitlab_middlewares())
    subjects = (api_session, api_projects, api_pipelines, api_by_ref, api_artifacts, api_jobs, backstage)
    for subject in subjects:
        gitlab.add_routes(subject.routes())
    store = _application(world, "storage", [])
    store.add_routes(storage.routes())
    async with _site(gitlab, host, port) as url, _site(store, host, storage_port) as storage_url:
        world.url, world.storage_url = url, storage_url
        async with delivering(world):
            yield Running(url, storage_url, world)


@asynccontextmanager
async def _site(application: web.Application, host: str, port: int) -> AsyncIterator[str]:
    # Handlers that stall by script end with their connection, and none holds up the end.
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _application(world: World, origin: Origin, inner: list[Middleware]) -> web.Application:
    # Newer GitLab accepts long signed URLs and cursors; so do we.
    application = web.Application(middlewares=[_recorded(origin), _harmed(origin), *inner])
    application[WORLD] = world
    application.on_response_prepare.append(_dated)
    return application


async def _dated(request: web.Request, response: web.StreamResponse) -> None:
    # The Date header is the world's time, so that clients see the clock that expiries are measured with.
    response.headers["Date"] = format_datetime(world_of(request).clock.now().replace(microsecond=0), usegmt=True)


def _gitlab_middlewares() -> list[Middleware]:
    return [_throttled, _read_only, _tagged, _errors_in_json]


def _recorded(origin: Origin) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        world = world_of(request)
        if request.path.startswith(backstage.PREFIX):
            return await handler(request)
        path, query = request.rel_url.raw_path, dict(request.query)
        seen = RequestSeen(origin, request.method, path, query, request.headers.copy(), world.clock.now())
        world.requests.add(seen)
        world.tick()
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            seen.status = answer.status
            raise
        seen.status = 0 if isinstance(response, HungUp) else response.status
        return response

    return middleware


def _harmed(origin: Origin) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(backstage.PREFIX):
            return await handler(request)
        ranged = "Range" in request.headers
        action = world_of(request).faults.strike(origin, request.method, request.rel_url.raw_path, ranged=ranged)
        return await harmed(action, lambda: handler(request))

    return middleware


@web.middleware
async def _throttled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Rack::Attack, in front of Rails: by bearer, else by address (lib/gitlab/rack_attack.rb)."""
    world = world_of(request)
    throttle = world.limits.throttle
    if throttle is None or not request.path.startswith("/api/"):
        return await handler(request)
    credential = presented(request)
    refused, headers = throttle.count(credential[1] if credential else request.remote or "", world.clock.now())
    if refused:
        headers["Content-Type"] = "text/plain"
        return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, body=throttle.text.encode(), headers=headers)
    response = await handler(request)
    response.headers.update(headers)
    return response


@web.middleware
async def _read_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Maintenance mode refuses every write with 403 (lib/gitlab/middleware/read_only/controller.rb)."""
    if world_of(request).maintenance and request.method not in _SOFT:
        message = "You cannot perform write operations on a read-only instance"
        return reply({"message": message}, status=HTTPStatus.FORBIDDEN)
    return await handler(request)


@web.middleware
async def _errors_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Grape's errors are JSON; a route that is not there is ``{"error": "404 Not Found"}`` (lib/api/api.rb)."""
    try:
        return await handler(request)
    except ApiError as error:
        return reply(error.payload, status=error.status, headers=error.headers)
    except web.HTTPNotFound:
        return reply({"error": "404 Not Found"}, status=HTTPStatus.NOT_FOUND)
    except web.HTTPMethodNotAllowed as error:
        headers = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return reply({"error": "405 Not Allowed"}, status=HTTPStatus.METHOD_NOT_ALLOWED, headers=headers)


@web.middleware
async def _tagged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Rack::ETag and Rack::ConditionalGet: a weak ETag on JSON, 304 for who has it; X-Request-Id and X-Runtime.

    rack, lib/rack/etag.rb: half of a SHA-256 of the body alone. lib/rack/conditional_get.rb: If-None-Match is compared to
    it as a string; a 304 loses Content-Type and Content-Length, and keeps everything else, Link and X-Next-Page too.
    """
    started = time.perf_counter()
    response = await handler(request)
    world = world_of(request)
    response.headers["X-Request-Id"] = f"SIM{world.requests.total:012d}"
    response.headers["X-Runtime"] = f"{time.perf_counter() - started:.6f}"
    if request.method not in _SOFT or response.status != HTTPStatus.OK or not isinstance(response, web.Response):
        return response
    if response.content_type != "application/json" or not isinstance(response.body, bytes):
        return response
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "max-age=0, private, must-revalidate"
    if request.headers.get("If-None-Match") == tag:
        kept = {key: value for key, value in response.headers.items() if not key.startswith("Content-")}
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=kept)
    return response

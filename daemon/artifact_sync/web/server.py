"""The application, and serving it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from aiohttp import web
from anyio import CancelScope

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.web import api_artifacts, api_by_ref, api_jobs, api_projects, health
from artifact_sync.web.answers import ApiError, reply
from artifact_sync.web.bodies import OWN_BODIES, bounded
from artifact_sync.web.connections import Gate, GuardedHandler, Limits
from artifact_sync.web.context import REPLICA, Replica, replica_of
from artifact_sync.web.finding import GRANT

__all__ = ["Part", "serve"]

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: A subject beside the replica: it adds its routes, and what they need, to the application.
Part = Callable[[web.Application], None]
#: Bytes of a request line and of a header: GitLab's cursors and signed parameters are long.
_LINE = 16 << 10
#: Seconds for what is under way when the daemon stops.
_LAST = 0.5
_BEGUN = web.RequestKey("begun", bool)


@asynccontextmanager
async def serve(
    replica: Replica, *, host: str, port: int, limits: Limits | None = None, parts: Iterable[Part] = ()
) -> AsyncIterator[tuple[str, int]]:
    """Serve until left; the address and the port that were taken (0: a free one). Raises OSError where it is not free."""
    limits = limits or Limits()
    gate = Gate(limits)
    runner = web.AppRunner(
        _application(replica, limits, parts), access_log=None, handler_cancellation=True, shutdown_timeout=_LAST
    )
    await runner.setup()
    server, loop = runner.server, asyncio.get_running_loop()
    assert server is not None  # noqa: S101 - made by setup

    def connected() -> GuardedHandler:
        return GuardedHandler(
            server,
            gate,
            loop=loop,
            access_log=None,
            keepalive_timeout=limits.keepalive,
            lingering_time=1.0,
            max_line_size=_LINE,
            max_field_size=_LINE,
        )

    try:
        listening = await loop.create_server(connected, host, port, backlog=128)
        try:
            address = listening.sockets[0].getsockname()
            log.info("http.listening", address=address[0], port=address[1])
            yield address[0], address[1]
        finally:
            listening.close()
    finally:
        with CancelScope(shield=True):
            await runner.cleanup()


def _application(replica: Replica, limits: Limits, parts: Iterable[Part]) -> web.Application:
    """One application of route tables."""
    application = web.Application(
        middlewares=[_answered, bounded(limits.body), _admitted], client_max_size=limits.largest_body
    )
    application[REPLICA] = replica
    application[OWN_BODIES] = set()
    application.on_response_prepare.append(_begun)
    application.add_routes(_routes())
    for part in parts:
        part(application)
    return application


def _routes() -> Iterable[web.AbstractRouteDef]:
    # By ref first: its paths would be job ids else.
    for subject in (health, api_projects, api_by_ref, api_artifacts, api_jobs):
        yield from subject.routes()


def _is_api(request: web.Request) -> bool:
    return request.path.startswith("/api/")


@web.middleware
async def _admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who may not read is told nothing else, not even which routes there are."""
    if _is_api(request):
        request[GRANT] = replica_of(request).readers.grant(request)
    return await handler(request)


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as GitLab words them; a route that is not there is ``{"error": "404 Not Found"}`` (lib/api/api.rb)."""
    try:
        return await handler(request)
    except ConnectionError:
        raise
    except Exception as error:
        if request.get(_BEGUN) and request.transport is not None:
            # Half of an answer was sent: no other one may follow it.
            log.exception("http.broken_off", path=_route(request))
            request.transport.abort()
            raise ConnectionResetError from error
        return _worded(request, error)


def _worded(request: web.Request, error: Exception) -> web.Response:
    match error:
        case ApiError():
            return reply(error.payload, status=error.status, headers=error.headers)
        case web.HTTPMethodNotAllowed():
            headers = {"Allow": ", ".join(sorted(error.allowed_methods))}
            return _error(request, HTTPStatus.METHOD_NOT_ALLOWED, "405 Not Allowed", headers)
        case web.HTTPRequestEntityTooLarge():
            response = _error(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "413 Request Entity Too Large")
            response.force_close()
        case web.HTTPException():
            response = _error(request, error.status, f"{error.status} {HTTPStatus(error.status).phrase}")
        case ArtifactSyncError():
            log.error("http.failed", path=_route(request), error=str(error), hint=error.hint)
            response = reply({"message": "503 Service Unavailable"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        case _:
            # The route alone: an address may carry a credential.
            log.error("http.crashed", path=_route(request), exc_info=error)
            response = reply({"message": "500 Internal Server Error"}, status=HTTPStatus.INTERNAL_SERVER_ERROR)
    return response


async def _begun(request: web.Request, _: web.StreamResponse) -> None:
    request[_BEGUN] = True


def _error(request: web.Request, status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    if _is_api(request):
        return reply({"error": text}, status=status, headers=headers)
    return web.Response(status=status, text=f"{text}\n", headers=headers)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""

"""Bodies of requests. Nothing that is asked of the replica needs one; a route that does reads it by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware
from anyio import fail_after

from artifact_sync.web.answers import reply

__all__ = ["OWN_BODIES", "bounded"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Resources whose handlers read bodies themselves, with a limit and an end of their own.
OWN_BODIES = web.AppKey("own_bodies", set[web.AbstractResource])


def bounded(seconds: float) -> Middleware:
    """What reads all other bodies, within so many seconds and up to the application's limit."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """No body means anything here; a small one is read, so that the connection can be used again."""
        if request.can_read_body and request.match_info.route.resource not in request.app[OWN_BODIES]:
            try:
                with fail_after(seconds):
                    await request.read()
            except TimeoutError:
                response = reply({"message": "408 Request Timeout"}, status=HTTPStatus.REQUEST_TIMEOUT)
                response.force_close()
                return response
        return await handler(request)

    return middleware

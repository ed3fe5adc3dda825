"""GET /events: what goes on, to a page that is open (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Two kinds of events. ``progress`` has ``[id, received, total]`` of the transfers under way; ``changed`` says that it is worth
while to load the page again, and nothing else. A reader that is slower gets less of them, never old ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from aiohttp import web
from anyio import Event, current_time, fail_after, move_on_after, sleep

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.web.answers import ApiError
from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import Dashboard, dashboard_of, scope_of
from artifact_sync.web.dashboard.entering import granted, token_of
from artifact_sync.web.dashboard.live import Live
from artifact_sync.web.dashboard.seats import Seats

__all__ = ["STOPPING", "Stream", "routes"]

_RUNNING = 200
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # nginx holds an answer back else (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Seconds and numbers."""

    #: Between two events; between two ``changed``; the longest silence.
    pace: float = 0.5
    changed: float = 2.0
    heartbeat: float = 10.0
    #: Between two ``changed`` for a token with projects of its own.
    by_clock: float = 10.0
    #: For a reader to take what was sent.
    taken: float = 10.0
    readers: int = 64


#: Set when the server stops: whoever watches goes.
STOPPING = web.AppKey("stopping", Event)
_STREAM = web.AppKey("stream", Stream)
_SEATS = web.AppKey("seats", Seats)


async def _events(request: web.Request) -> web.StreamResponse:
    """GET /events."""
    grant, stream, seats = granted(request), request.config_dict[_STREAM], request.config_dict[_SEATS]
    # What opens nothing is nobody's token: where none is asked for, whatever is sent.
    readers = replica_of(request).readers
    token = token_of(request) if readers.needed else None
    if not seats.take(token, tokens=readers.count):
        message = {"message": "503 Service Unavailable: too many pages are open"}
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, message, headers={"Retry-After": "30"})
    try:
        response = web.StreamResponse(headers=_HEADERS)
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(request)
        if request.method != "HEAD":
            await _Watcher(request, response, dashboard_of(request), stream, everything=grant.everything).run()
        await response.write_eof()
    except (TimeoutError, ConnectionError, ArtifactSyncError, ApiError):
        # The page comes back by itself.
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from None
    else:
        return response
    finally:
        seats.leave(token)


class _Watcher:
    """One open page."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        dashboard: Dashboard,
        stream: Stream,
        *,
        everything: bool,
    ) -> None:
        self._request = request
        self._response = response
        self._dashboard = dashboard
        self._live: Live = dashboard.live
        self._stream = stream
        self._everything = everything
        self._told_at = current_time()
        self._shown: Collection[int] | None = None
        self._looked = -1

    async def run(self) -> None:
        """Until the server stops, or the page may not be seen any more. Raises TimeoutError for a reader that does not read."""
        live, stopping, changes, sent = self._live, self._request.config_dict[STOPPING], self._live.changes, ""
        seen = (-1, -1)
        await self._send("retry: 5000\n\n")
        while not stopping.is_set():
            with move_on_after(min(self._stream.heartbeat, self._until_told(changes))):
                await live.wait(seen, stopping)
            if stopping.is_set():
                return
            # A session ends, and a token may be withdrawn. Raises ApiError.
            granted(self._request)
            seen = (live.pieces, live.changes)
            text = ""
            progress = msgspec.json.encode(await self._progress()).decode()
            if progress != sent:
                text, sent = f"event: progress\ndata: {progress}\n\n", progress
            if self._until_told(changes) <= 0:
                text, changes, self._told_at = f"{text}event: changed\ndata: {{}}\n\n", live.changes, current_time()
            await self._send(text or ":\n\n")
            await sleep(self._stream.pace)

    def _until_told(self, changes: int) -> float:
        """Seconds until ``changed`` is due: after a change, or by the clock where a change may be in another's project."""
        if not self._everything:
            return max(0.0, self._told_at + self._stream.by_clock - current_time())
        if self._live.changes == changes:
            return self._stream.heartbeat
        return max(0.0, self._told_at + self._stream.changed - current_time())

    async def _progress(self) -> list[tuple[int, int, int | None]]:
        running = self._live.running
        if not self._everything and self._looked != self._live.changes:
            self._looked = self._live.changes
            scope = await scope_of(self._dashboard, granted(self._request))
            found = await self._dashboard.browsing.running(scope, limit=_RUNNING)
            self._shown = {one.id for one in found}
        return [
            (one, state.received, state.total)
            for one, state in sorted(running.items())[:_RUNNING]
            if self._shown is None or one in self._shown
        ]

    async def _send(self, text: str) -> None:
        with fail_after(self._stream.taken):
            await self._response.write(text.encode())


def routes(application: web.Application, stream: Stream) -> list[web.AbstractRouteDef]:
    """Of this subject."""
    application[_STREAM] = stream
    application[STOPPING] = Event()
    application[_SEATS] = Seats(stream.readers)
    return [web.get("/events", _events)]

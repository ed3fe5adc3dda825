"""The dashboard as a part of what is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web
from anyio import to_thread

from artifact_sync.web.dashboard import browse, entering, explain, overview, search, stream
from artifact_sync.web.dashboard.assets import Assets
from artifact_sync.web.dashboard.context import DASHBOARD, Dashboard
from artifact_sync.web.dashboard.pages import PAGES, Pages
from artifact_sync.web.dashboard.stream import STOPPING, Stream
from artifact_sync.web.server import Part

__all__ = ["dashboard"]


def dashboard(shown: Dashboard, *, pace: Stream | None = None) -> Part:
    """Adds the pages to an application that serves a replica."""

    def add(application: web.Application) -> None:
        assets = Assets()
        application[DASHBOARD] = shown
        application[PAGES] = Pages(assets)
        application.cleanup_ctx.append(_running)
        application.on_shutdown.append(_closed)
        for subject in (overview, browse, search, explain, entering):
            application.add_routes(subject.routes())
        application.add_routes(stream.routes(application, pace or Stream()))
        application.add_routes([web.get(r"/static/{name}", assets.answer)])

    return add


async def _running(application: web.Application) -> AsyncIterator[None]:
    await to_thread.run_sync(application[PAGES].compile)
    # Not a task group: it would have to end in the scope that it began in, and a server is stopped in another one.
    sampling = asyncio.create_task(application[DASHBOARD].gauge.run())
    yield
    sampling.cancel()
    with suppress(asyncio.CancelledError):
        await sampling


async def _closed(application: web.Application) -> None:
    application[STOPPING].set()
    application[DASHBOARD].live.wake()

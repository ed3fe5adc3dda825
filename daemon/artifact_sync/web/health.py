"""What a supervisor asks: whether the process lives, and whether it can answer."""

from __future__ import annotations

from aiohttp import web

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.web.context import replica_of

__all__ = ["routes"]


async def _live(_: web.Request) -> web.StreamResponse:
    """The event loop answers."""
    return web.Response(text="ok\n")


async def _ready(request: web.Request) -> web.StreamResponse:
    """The state and the store answer, and discovery goes on; 503 with the first that does not."""
    replica = replica_of(request)
    try:
        await replica.catalogue.projects(limit=1)
        if not await replica.room.answers():
            return web.Response(status=503, text="store\n")
        if not await replica.alive():
            return web.Response(status=503, text="discovery\n")
    except ArtifactSyncError as error:
        return web.Response(status=503, text=f"{type(error).__name__}\n")
    return web.Response(text="ok\n")


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject. They need no token and tell nothing that would."""
    return [web.get("/livez", _live), web.get("/readyz", _ready)]

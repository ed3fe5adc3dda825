"""Routes that GitLab has not: what a test or a benchmark in another process asks the simulator itself.

Under ``/-/simulator/``, without a token; they are neither recorded nor subject to faults and limits.
"""

from __future__ import annotations

from aiohttp import web

from artifact_sync.simulator.entities import stamp
from artifact_sync.simulator.replies import reply, world_of

__all__ = ["PREFIX", "routes"]

PREFIX = "/-/simulator/"


async def _expected(request: web.Request) -> web.Response:
    """GET /-/simulator/expected: job id to sha256, size, and whether the archive is still there."""
    return reply(
        {
            str(job.id): {
                "sha256": job.spec.archive.content.sha256,
                "size": job.spec.archive.content.size,
                "present": job.archive is not None,
            }
            for job in world_of(request).jobs.values()
            if job.uploaded and job.spec.archive is not None
        }
    )


async def _requests(request: web.Request) -> web.Response:
    """GET /-/simulator/requests: what reached the two origins, headers included."""
    return reply(
        [
            {
                "origin": seen.origin,
                "method": seen.method,
                "path": seen.path,
                "query": dict(seen.query),
                "headers": dict(seen.headers),
                "status": seen.status,
                "at": stamp(seen.at),
            }
            for seen in world_of(request).requests
        ]
    )


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [web.get(f"{PREFIX}expected", _expected), web.get(f"{PREFIX}requests", _requests)]

"""A replica on a store that the daemon's own parts have filled from a simulated GitLab."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from artifact_sync.engine.asked import Asked
from artifact_sync.simulator import TOKEN, JobSpec, SimJob, World, small
from artifact_sync.state.catalogue import SqliteCatalogue
from artifact_sync.store import StoreView
from artifact_sync.store.serving import ReadingRoom
from artifact_sync.web import Limits, Reader, Replica, serve
from artifact_sync.web.access import Readers
from artifact_sync.web.context import Fetches
from artifact_sync.web.server import Part
from tests.integration.engine.engine_harness import Rig

PAGE = b"<script>alert(1)</script>"
FILES = {
    "dist/app.bin": bytes(range(256)) * 4096,
    "report.html": PAGE,
    "notes.txt": b"three words here\n",
    "empty": b"",
    "na\u00efve \u540d.txt": b"named beyond ASCII",
    "deep/er/file": b"deep",
}
#: For servers in tests of what is slow.
QUICK = Limits(keepalive=3.0, headers=0.6, body=0.6, stalled=0.8, connections=12, per_address=8)


@dataclass
class Served:
    """A replica that answers."""

    rig: Rig
    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    def api(self, path: str) -> str:
        """A URL of its API."""
        return f"{self.url}/api/v4{path}"

    async def raw(self, request: bytes, *, end: bool = True, within: float = 20.0) -> bytes:
        """What a socket gets for these bytes until the server closes; ``end``: with ``Connection: close`` asked for."""
        with anyio.fail_after(within):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                writer.write(request)
                await writer.drain()
                if end:
                    return await reader.read(-1)
                return await reader.read(65536)
            except ConnectionResetError:
                return b""
            finally:
                writer.close()


def replica_of(rig: Rig, readers: Sequence[Reader], *, fetches: Fetches | None = None, alive: bool = True) -> Replica:
    """What is served of the rig."""

    async def lives() -> bool:
        return alive

    return Replica(
        catalogue=SqliteCatalogue(rig.state),
        room=ReadingRoom(StoreView(rig.path / "store", identity=rig.store.identity)),
        pins=rig.state,
        clock=rig.clock,
        gitlab=rig.world.url,
        readers=Readers(readers),
        fetches=fetches,
        alive=lives,
    )


@asynccontextmanager
async def served(
    rig: Rig,
    *readers: Reader,
    limits: Limits | None = None,
    read_through: bool = False,
    wake: Any = lambda: None,
    wait: float = 20.0,
    alive: bool = True,
    parts: Sequence[Part] = (),
) -> AsyncIterator[Served]:
    """Serve what the rig has."""
    fetches = Asked(rig.engine.means, wake, wait=wait) if read_through else None
    replica = replica_of(rig, readers, fetches=fetches, alive=alive)
    async with serve(replica, host="127.0.0.1", port=0, limits=limits, parts=parts) as (host, port):
        yield Served(rig, host, port)


def told(token: str, **options: Any) -> Reader:
    """A reader with this token."""
    return Reader(token=lambda: token, **options)


def ended(world: World, project, *names: str, ref: str = "main", files=None, **options: Any) -> list[SimJob]:
    """The jobs of one pipeline, which have succeeded, each with an archive and a report."""
    specs = [JobSpec(name, archive=small(name, files or FILES), reports=("junit",)) for name in names]
    pipeline = world.add_pipeline(project, ref, specs, **options)
    return [world.finish(job) for job in pipeline.jobs]


def archive_of(job: SimJob) -> bytes:
    """The archive's bytes."""
    assert job.spec.archive is not None
    assert job.spec.archive.content.data is not None
    return job.spec.archive.content.data


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1", host: str = "localhost") -> bytes:
    """The bytes of a request after which the connection closes."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def status_of(answer: bytes) -> int:
    """The status; 0 where there was no answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def statuses(answer: bytes) -> Sequence[int]:
    """Those of several answers on one connection."""
    return [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:]]


def small_window(host: str, port: int) -> socket.socket:
    """A connected socket that takes in as little as the system allows before it is read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((host, port))
    return made


HEADERS = {"PRIVATE-TOKEN": TOKEN}

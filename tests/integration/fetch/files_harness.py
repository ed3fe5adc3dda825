"""Files of an archive fetched from a simulated GitLab, with every byte on the wire counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from structlog.testing import capture_logs

from artifact_sync.core.events import Event
from artifact_sync.core.file_patterns import items_of
from artifact_sync.core.model import Artifact, Item, Job, StagedFile, Transfer
from artifact_sync.core.timetable import Timetable
from artifact_sync.fetch import Bandwidth, Fetcher, FetchPolicy
from artifact_sync.gitlab import Client, ClientOptions, EnvToken, ServerClock
from artifact_sync.ports import Clock, Progress, QueuedTransfer
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.simulator import TOKEN, JobSpec, SimJob, World, serve
from artifact_sync.simulator.archives import Archive
from artifact_sync.simulator.content import Content
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore

ARCHIVE = Item(kind="archive", name="artifacts.zip")
#: Longer ago than a date must lie to be as good as an ETag.
EARLIER = datetime.now(UTC) - timedelta(hours=1)


@dataclass
class Wire:
    """A relay to a server that counts what it answers, heads included."""

    received: int = 0

    @asynccontextmanager
    async def relay(self, port: int) -> AsyncIterator[int]:
        """The port to connect to instead."""
        tasks: set[asyncio.Task[None]] = set()

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
            try:
                while block := await reader.read(1 << 16):
                    self.received += len(block) if counted else 0
                    writer.write(block)
                    await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            for task in (copy(reader, back, counted=False), copy(there, writer, counted=True)):
                tasks.add(asyncio.ensure_future(task))

        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listener.wait_closed()


@dataclass
class Scene:
    """What a test drives and looks at."""

    world: World
    job: SimJob
    client: Client
    fetcher: Fetcher
    store: LocalStore
    state: SqliteState
    staging: Path
    wire: Wire
    logs: list[Any] = field(default_factory=list)
    _claimed: int = 0

    async def queued(self, *items: Item, max_size: int | None = None, grown: int = 0) -> QueuedTransfer:
        """A claimed transfer of the job's items; GitLab announces ``grown`` bytes more than the archive has."""
        self._claimed += 1
        size = self.job.spec.archive.content.size + grown if self.job.spec.archive else None
        job = Job(id=self.job.id, name="build", status="success", artifacts=(Artifact(file_type="archive", size=size),))
        transfer = Transfer(
            project_id=1,
            project_path="g/p",
            job=job,
            rules=("r",),
            items=items,
            dest=f"g/p/{self._claimed}",
            max_size=max_size,
        )
        now = datetime.now(UTC)
        await self.state.save_progress(Progress(project_id=1, path="g/p"), found=[transfer], now=now)
        queued = await EmbeddedQueue(self.state).claim(now)
        assert queued is not None
        return queued

    async def fetch(self, *files: str, extra: Iterable[Item] = (), **transfer: Any) -> dict[str, bytes]:
        """What is staged for these entries of fetch.files, by the names in the publication."""
        staged = await self.fetcher.fetch(await self.queued(*extra, *items_of(files), **transfer))
        return {file.name: self.bytes_of(file) for file in staged}

    def bytes_of(self, staged: StagedFile) -> bytes:
        """What lies in staging for it."""
        return (self.staging / staged.part).read_bytes()

    @property
    def parts(self) -> list[str]:
        """What lies in staging."""
        return sorted(path.name for path in self.staging.iterdir() if path.name.endswith(".part"))

    @property
    def ways(self) -> list[str]:
        """The ways that were gone, each with its requests."""
        return [entry["way"] for entry in self.logs if entry["event"] == "files.chosen"]

    @property
    def closed(self) -> dict[str, str]:
        """The ways that did not lead there, and why."""
        return {entry["way"]: entry["reason"] for entry in self.logs if entry["event"] == "files.closed"}

    def told(self, event: str) -> list[Any]:
        """The log entries of an event."""
        return [entry for entry in self.logs if entry["event"] == event]

    def asked(self, ending: str = "") -> list[int | None]:
        """What was answered to requests whose path ends so."""
        return [seen.status for seen in self.world.requests if seen.path.endswith(ending)]


@asynccontextmanager
async def scene_of(
    path: Path,
    archive: Archive,
    *,
    ranges: bool = True,
    tree: bool = True,
    world: World | None = None,
    attempts: int = 1,
    clock: Clock | None = None,
    timetable: Timetable | None = None,
    **policy: Any,
) -> AsyncIterator[Scene]:
    """A GitLab with one job, and a process that fetches from it through a counting relay."""
    world = world or World()
    if not tree:
        world.version = "18.7.0"
    world.ranges = ranges
    project = world.add_project("g/p")
    pipeline = world.add_pipeline(project, "main", [JobSpec("build", archive=archive)], at=EARLIER)
    job = world.finish(pipeline.jobs[0], at=EARLIER)
    wire = Wire()
    events: list[Event] = []
    with capture_logs() as logs:
        async with (
            serve(world) as running,
            wire.relay(port_of(running.url)) as port,
            wire.relay(port_of(world.storage_url)) as storage,
        ):
            world.storage_url = f"http://127.0.0.1:{storage}"
            options = ClientOptions(
                base_url=f"http://127.0.0.1:{port}",
                token=EnvToken("TOKEN", environ={"TOKEN": TOKEN}),
                per_minute=600_000,
                timeout=5.0,
                attempts=attempts,
            )
            async with (
                Client(options, clock=ServerClock()) as client,
                LocalStore.open(path / "store", min_free=0) as store,
                SqliteState.open(path / "state.db") as state,
            ):
                limits = FetchPolicy(**{"min_rate": 1, "min_free": 0, "batch": 64 * 1024} | policy)
                at = clock or ServerClock()
                bandwidth = Bandwidth(timetable or Timetable(), clock=at, zone=UTC)
                fetcher = Fetcher(
                    client, store, state, clock=at, policy=limits, emit=events.append, bandwidth=bandwidth
                )
                staging = path / "store" / ".staging"
                yield Scene(world, job, client, fetcher, store, state, staging, wire, logs)


def port_of(url: str) -> int:
    """Of an address with one."""
    return int(url.rpartition(":")[2].rstrip("/"))


def written(
    files: Mapping[str, Callable[[], bytes] | bytes],
    *,
    stored: bool = False,
    zip64: bool = False,
    on_disk: bool = False,
) -> Archive:
    """An archive of these files, with data descriptors as GitLab Runner writes them."""

    def make() -> Content:
        return Content.written(lambda sink: _write(sink, files, stored=stored, zip64=zip64), on_disk=on_disk)

    return Archive(make)


def _write(sink: Any, files: Mapping[str, Callable[[], bytes] | bytes], *, stored: bool, zip64: bool) -> None:
    with ZipFile(sink, "w") as archive:
        for name, content in files.items():
            info = ZipInfo(name)
            info.compress_type = ZIP_STORED if stored else ZIP_DEFLATED
            info.create_system, info.external_attr = 3, 0o100644 << 16
            with archive.open(info, "w", force_zip64=zip64) as file:
                file.write(content if isinstance(content, bytes) else content())

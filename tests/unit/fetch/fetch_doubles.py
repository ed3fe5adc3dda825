"""A scripted GitLab, a store of plain files and a state in memory: enough to drive a Fetcher."""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.lowlevel

from artifact_sync.core.events import Event
from artifact_sync.core.model import Artifact, Item, Job, Transfer
from artifact_sync.core.ways import Known
from artifact_sync.fetch import Fetcher, FetchPolicy
from artifact_sync.ports import PartRecord, QueuedTransfer, Source, TransferState

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
URL = "https://gitlab.example.com/api/v4/projects/1/jobs/7/artifacts"
KIB = 1024


class ManualClock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Answer:
    """A body: bytes, an exception to raise, or something to call (and await) in between."""

    script: Iterable[Any]
    total: int | None = None
    etag: str | None = None
    offset: int = 0
    source: str = URL
    content_type: str = "application/octet-stream"

    async def chunks(self) -> AsyncIterator[bytes]:
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                yield step
                continue
            result = step()
            if inspect.isawaitable(result):
                await result


def entity(data: bytes, etag: str | None = '"v1"', **changes) -> Callable[..., Answer]:
    """A server that has ``data`` under ``etag`` and honours ranges of it; ``cut`` breaks it off at that byte."""
    cut = changes.pop("cut", None)
    broken = changes.pop("broken", None)

    def answer(offset: int, asked_etag: str | None, total: int | None) -> Answer:
        same = offset > 0 and asked_etag == etag and total == len(data)
        begins = offset if same else 0
        rest = data[begins:cut]
        script: list[Any] = [rest[at : at + 64 * KIB] for at in range(0, len(rest), 64 * KIB)]
        if cut is not None:
            script.append(broken)
        return Answer(script, **{"total": len(data), "etag": etag, "offset": begins} | changes)

    return answer


@dataclass
class ScriptedRemote:
    """Gives its answers in turn and remembers what was asked. An answer may be an exception."""

    answers: list[Any]
    job_answer: Job | Exception | None = None
    asked: list[tuple[int, str | None, int | None]] = field(default_factory=list)
    known: Known = field(default_factory=Known)

    @asynccontextmanager
    async def open(self, source: Source, *, offset: int = 0, etag: str | None = None, total: int | None = None):
        self.asked.append((offset, etag, total))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield answer if isinstance(answer, Answer) else answer(offset, etag, total)

    async def job(self, project_id: int, job_id: int, *, priority: object = None) -> Job:
        if isinstance(self.job_answer, Job):
            return self.job_answer
        assert self.job_answer is not None
        raise self.job_answer


class _Counting(io.FileIO):
    """Tells the store how much is read."""

    def __init__(self, path: Path, store: DiskStore) -> None:
        super().__init__(path)
        self._store = store

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(-1 if size is None else size)
        self._store.read_back += len(found)
        return found


class DiskPart:
    """A part in a plain file. ``before_append`` and ``after_append`` let a test interfere."""

    in_memory = False

    def __init__(self, path: Path, keep: int, store: DiskStore) -> None:
        self.path = path
        self.name = path.name
        self.watch: Callable[[bytes | memoryview], None] | None = None
        self._store = store
        data = path.read_bytes()[:keep] if path.exists() else b""
        self.size = len(data) if len(data) == keep else 0
        path.write_bytes(data[: self.size])

    async def append(self, *batch: bytes) -> None:
        await self._store.before_append(self)
        with self.path.open("ab") as file:
            file.writelines(batch)
        if self.watch is not None:
            self.watch(b"".join(batch))
        size = sum(map(len, batch))
        self.size += size
        self._store.appended.append(size)

    async def restart(self) -> None:
        self.path.write_bytes(b"")
        self.size = 0

    async def checkpoint(self) -> int:
        await anyio.lowlevel.checkpoint()
        self._store.log.append(f"checkpoint {self.size}")
        return self.size

    def reader(self) -> BinaryIO:
        return _Counting(self.path, self._store)

    async def finish(self) -> tuple[str, int]:
        self._store.log.append("finish")
        return hashlib.sha256(self.path.read_bytes()).hexdigest(), self.size

    async def close(self) -> None:
        self._store.log.append("close")

    async def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class DiskStore:
    """Parts in a directory, and as much free space as a test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.free_bytes = 1 << 40
        self.appended: list[int] = []
        self.read_back = 0
        self.log: list[str] = []
        self.before_append: Callable[[DiskPart], Any] = self._nothing

    async def _nothing(self, _part: DiskPart) -> None:
        return None

    async def part(self, name: str, *, keep: int = 0, expected: int | None = None) -> DiskPart:
        return DiskPart(self.path / name, keep, self)

    async def free(self) -> int:
        return self.free_bytes


class MemoryState:
    """Part records in a dictionary."""

    def __init__(self) -> None:
        self.records: dict[tuple[int, str], PartRecord] = {}

    async def part_record(self, transfer_id: int, item: str) -> PartRecord | None:
        return self.records.get((transfer_id, item))

    async def save_part(self, record: PartRecord) -> None:
        await anyio.lowlevel.checkpoint()
        self.records[record.transfer_id, record.item] = record


def archive(size: int | None = None) -> Item:
    """The archive as an item."""
    return Item(kind="archive", name="artifacts.zip", size=size)


def queued(
    *items: Item, artifacts: tuple[Artifact, ...] = (), max_size: int | None = None, number: int = 3
) -> QueuedTransfer:
    """A claimed transfer of these items."""
    job = Job(id=7, name="build", status="success", artifacts=artifacts)
    transfer = Transfer(
        project_id=1, project_path="g/p", job=job, rules=("r",), items=items, dest="g/p/7", max_size=max_size
    )
    return QueuedTransfer(id=number, transfer=transfer, state=TransferState.DOWNLOADING)


class Bench:
    """A Fetcher with everything around it."""

    def __init__(self, path: Path, *answers: Any, job: Job | Exception | None = None, **policy: Any) -> None:
        self.remote = ScriptedRemote(list(answers), job)
        self.store = DiskStore(path)
        self.state = MemoryState()
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.policy = FetchPolicy(**{"min_rate": 1024, "min_free": 1000, "batch": 64 * KIB} | policy)
        self.fetcher = self.restarted()

    def restarted(self) -> Fetcher:
        """A Fetcher of a new process on the same store and state."""
        remote: Any = self.remote
        store: Any = self.store
        state: Any = self.state
        return Fetcher(remote, store, state, clock=self.clock, policy=self.policy, emit=self.events.append)

    @property
    def staging(self) -> dict[str, int]:
        """What lies there, with its size."""
        return {path.name: path.stat().st_size for path in self.store.path.iterdir()}

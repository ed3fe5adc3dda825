"""Look into many publications, two at a time, and tell what is damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from artifact_sync.core.events import Emit, Foreign
from artifact_sync.core.inspection import Inspection
from artifact_sync.engine.groups import single_error
from artifact_sync.engine.mending import damaged_event, expected_of, unmoved
from artifact_sync.ports import Inspector, QueuedTransfer, State

__all__ = ["WORKERS", "Gauge", "Seen", "Verified", "verify"]

#: Publications at the same time: one is read while another is hashed, and two processors have work.
WORKERS = 2
_TOLD = 20
#: Publications that are looked into in one go, and the bytes after which it ends.
_BATCH, _BATCH_SIZE = 32, 4 << 20

_Batch: TypeAlias = tuple[QueuedTransfer, ...]

#: Called with each publication that was looked into.
Seen = Callable[[QueuedTransfer, Inspection], Awaitable[None]]


class Gauge:
    """How far it is; who draws that overrides what they need."""

    def read(self, count: int) -> None:
        """So many bytes more were read; told by any thread."""

    def looked(self, inspection: Inspection) -> None:
        """One publication more."""

    def fetching(self) -> None:
        """All were looked into, and what is lost is fetched from here on."""


@dataclass(slots=True)
class Verified:
    """What a verification found. ``size`` is in bytes."""

    publications: int = 0
    files: int = 0
    size: int = 0
    #: Publications that are not as they were published, and names in them.
    damaged: int = 0
    names: int = 0
    #: Names that nobody published.
    foreign: int = 0


async def _nothing(queued: QueuedTransfer, inspection: Inspection) -> None:
    pass


async def verify(
    source: AsyncIterator[QueuedTransfer],
    *,
    inspector: Inspector,
    state: State,
    emit: Emit,
    seen: Seen = _nothing,
    gauge: Gauge | None = None,
) -> Verified:
    """Look into each. What was added to or taken away meanwhile is left out. Raises StateError, StoreError."""
    total, watched = Verified(), gauge or Gauge()
    send, receive = anyio.create_memory_object_stream[_Batch](WORKERS)

    async def work(mine: MemoryObjectReceiveStream[_Batch]) -> None:
        async with mine:
            async for batch in mine:
                await look(batch)

    async def look(batch: _Batch) -> None:
        for queued, inspection in zip(batch, await inspector.inspect(*map(expected_of, batch)), strict=True):
            if inspection.harmed and not await unmoved(queued, state):
                continue
            _count(inspection, total)
            watched.looked(inspection)
            _tell(queued, inspection, emit)
            await seen(queued, inspection)

    with single_error():
        async with anyio.create_task_group() as group, receive:
            for _ in range(WORKERS):
                group.start_soon(work, receive.clone())
            async with send:
                async for batch in _batches(source):
                    await send.send(batch)
    return total


async def _batches(source: AsyncIterator[QueuedTransfer]) -> AsyncIterator[_Batch]:
    """Small publications together: a hop to a thread takes longer than to hash one of them."""
    batch: list[QueuedTransfer] = []
    size = 0
    async for queued in source:
        batch.append(queued)
        size += queued.size
        if size >= _BATCH_SIZE or len(batch) >= _BATCH:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def _count(inspection: Inspection, total: Verified) -> None:
    total.publications += 1
    total.files += inspection.files
    total.size += inspection.size
    total.foreign += len(inspection.foreign)
    total.damaged += bool(inspection.harmed)
    total.names += len(inspection.harmed)


def _tell(queued: QueuedTransfer, inspection: Inspection, emit: Emit) -> None:
    if inspection.foreign:
        emit(Foreign(dest=inspection.dest, names=inspection.foreign[:_TOLD]))
    if inspection.harmed:
        emit(damaged_event(queued, inspection))

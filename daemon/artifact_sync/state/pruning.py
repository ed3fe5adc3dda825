"""The part of the state that retention uses, over the database's thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from functools import partial
from typing import Protocol

from artifact_sync.ports import PinnedJob, PruneOrder, PruneReport, QueuedTransfer, RetentionLook
from artifact_sync.state import retention
from artifact_sync.state.works import Works

__all__ = ["SqlitePruning"]

_PAGE = 200


class SqlitePruning(Works, Protocol):
    """Implements ``ports.PruningState`` for a class that can read and write."""

    async def pruning(self, transfer_id: int, *, why: str, trash: str, at: datetime) -> bool:
        """As the port says."""
        return await self.write(partial(retention.pruning, transfer_id=transfer_id, why=why, trash=trash, at=at))

    async def pruned(self, transfer_id: int) -> None:
        """As the port says."""
        await self.write(partial(retention.pruned, transfer_id=transfer_id))

    async def restoring(self, transfer_id: int) -> bool:
        """As the port says."""
        return await self.write(partial(retention.restoring, transfer_id=transfer_id))

    async def restored(self, transfer_id: int) -> None:
        """As the port says."""
        await self.write(partial(retention.restored, transfer_id=transfer_id))

    async def half_pruned(self) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        return await self.read(retention.half_pruned)

    async def in_trash(self) -> AsyncIterator[QueuedTransfer]:
        """As the port says. One that leaves the trash while this streams may or may not appear."""
        after: tuple[datetime, int] | None = None
        while page := await self.read(partial(retention.trash_page, after=after, limit=_PAGE)):
            for queued in page:
                yield queued
            last = page[-1]
            after = (last.pruned.at, last.id) if last.pruned is not None else None

    async def emptied(self, trash: str) -> None:
        """As the port says."""
        await self.write(partial(retention.emptied, trash=trash))

    async def referenced(self, objects: Collection[str]) -> frozenset[str]:
        """As the port says."""
        wanted, found, after = frozenset(objects), set[str](), 0
        while len(found) < len(wanted):
            names, last = await self.read(partial(retention.objects_page, after=after, limit=_PAGE))
            if last is None:
                break
            found |= wanted & names
            after = last
        return frozenset(found)

    async def pin(self, pinned: PinnedJob) -> None:
        """As the port says."""
        await self.write(partial(retention.pin, pinned=pinned))

    async def unpin(self, project_id: int, job_id: int) -> bool:
        """As the port says."""
        return await self.write(partial(retention.unpin, project_id=project_id, job_id=job_id))

    async def pins(self) -> tuple[PinnedJob, ...]:
        """As the port says."""
        return await self.read(retention.pins)

    async def note_look(self, look: RetentionLook) -> None:
        """As the port says."""
        await self.write(partial(retention.note_look, look=look))

    async def order_prune(self, order: PruneOrder, now: datetime) -> int:
        """As the port says."""
        return await self.write(partial(retention.order, wanted=order, now=now))

    async def next_order(self, now: datetime) -> tuple[int, PruneOrder] | None:
        """As the port says."""
        return await self.read(partial(retention.next_order, now=now))

    async def withdraw_order(self, number: int) -> bool:
        """As the port says."""
        return await self.write(partial(retention.withdraw, number=number))

    async def answer_order(self, number: int, report: PruneReport) -> None:
        """As the port says."""
        await self.write(partial(retention.answer, number=number, report=report))

    async def order_answer(self, number: int) -> PruneReport | None:
        """As the port says."""
        return await self.read(partial(retention.answer_of, number=number))

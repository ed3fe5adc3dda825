"""What the state remembers of retention: the part of ``State`` that the janitor and its commands use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Protocol

from artifact_sync.ports.records import PinnedJob, PruneOrder, PruneReport, QueuedTransfer, RetentionLook

__all__ = ["PruningState"]


class PruningState(Protocol):
    """Every method is one durable transaction. Raises StateError, NoSpace."""

    async def pruning(self, transfer_id: int, *, why: str, trash: str, at: datetime) -> bool:
        """PUBLISHED becomes PRUNING: its files are about to move into the trash under that name.

        False where it is not PUBLISHED any more, or pinned; then nothing is to be moved.
        """

    async def pruned(self, transfer_id: int) -> None:
        """PRUNING becomes PRUNED: the files are in the trash, durably, or nowhere."""

    async def restoring(self, transfer_id: int) -> bool:
        """PRUNED, and in the trash, becomes PRUNING: its files are about to move back. False where it is not there."""

    async def restored(self, transfer_id: int) -> None:
        """PRUNING becomes PUBLISHED: the files stand at their destination, durably."""

    async def half_pruned(self) -> tuple[QueuedTransfer, ...]:
        """Transfers in PRUNING: what recovery finishes."""

    def in_trash(self) -> AsyncIterator[QueuedTransfer]:
        """All PRUNED transfers that are in the trash, longest there first, streamed."""

    async def emptied(self, trash: str) -> None:
        """What has that name in the trash cannot be brought back any more."""

    async def referenced(self, objects: Collection[str]) -> frozenset[str]:
        """Those of the objects' names (the sha256, ``x`` behind it where it may be executed) that some transfer needs.

        Not what only PRUNED ones had.
        """

    async def pin(self, pinned: PinnedJob) -> None:
        """From now on the job's publications stay; a pin of the same job is replaced."""

    async def unpin(self, project_id: int, job_id: int) -> bool:
        """Not any more; whether it was pinned."""

    async def pins(self) -> tuple[PinnedJob, ...]:
        """All pins, newest first."""

    async def note_look(self, look: RetentionLook) -> None:
        """Remember it in place of the one before."""

    async def order_prune(self, order: PruneOrder, now: datetime) -> int:
        """Leave an order for the process that works on the store; its number. Orders of a day ago are forgotten."""

    async def next_order(self, now: datetime) -> tuple[int, PruneOrder] | None:
        """The oldest order without an answer, with its number. Nobody waits any more for one that is older than an hour."""

    async def withdraw_order(self, number: int) -> bool:
        """Take an order back; False where it was answered, or forgotten, already."""

    async def answer_order(self, number: int, report: PruneReport) -> None:
        """It was carried out, with this result."""

    async def order_answer(self, number: int) -> PruneReport | None:
        """The answer to an order; None where there is none yet."""

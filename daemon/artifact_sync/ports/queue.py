"""The durable queue of transfers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Outcome
from artifact_sync.ports.records import QueuedTransfer
from artifact_sync.ports.store import Published

__all__ = ["Queue"]


class Queue(Protocol):
    """The durable queue of transfers.

    What presses (core.deadlines) goes strictly by its deadline, across all projects. Of the rest fresh work goes before
    history, then by priority, and the projects take turns; within a project soonest first. Nothing waits for ever.
    """

    async def claim(self, now: datetime) -> QueuedTransfer | None:
        """Step P0: take the next WANTED (or LOST) transfer whose time has come and mark it DOWNLOADING; None: none is due.

        Never hands one transfer to two callers.
        """

    async def stage(self, transfer_id: int, files: Sequence[StagedFile]) -> None:
        """Step P5: STAGED, with what proves the files' identity; their part records are forgotten."""

    async def publish(self, transfer_id: int, published: Published, at: datetime) -> None:
        """Step P7: PUBLISHED, or WANTED again where the transfer gained items since it was claimed.

        In the same transaction what the transfer's rules want after a publication becomes due (``ports.Outbox``), unless
        nothing was published anew: it was lost, and is there again.
        """

    async def release(self, transfer_id: int) -> None:
        """Back to WANTED without counting an attempt: a stop, a full disk, a lost credential."""

    async def fail(self, transfer_id: int, outcome: Outcome, error: str, *, retry_at: datetime | None) -> None:
        """An attempt failed: WANTED at ``retry_at``, or FAILED for good without one."""

    async def revive(self) -> int:
        """FAILED becomes WANTED, with its attempts to come again, unless its outcome is final; how many."""

    async def hasten(self) -> None:
        """What is WANTED and waits for its next attempt waits no longer."""

    async def lost(self, transfer_id: int) -> None:
        """Published before, not there now: wanted again, remembered as lost until it is back."""

    def repairs(self) -> Queue:
        """The same queue as one sees it who repairs: what is LOST, and nothing else."""

    async def open_count(self) -> int:
        """Transfers not yet PUBLISHED or FAILED."""

    async def next_attempt(self, now: datetime) -> datetime | None:
        """When the next WANTED transfer is due; ``now`` if one is due already; None: nothing is wanted."""

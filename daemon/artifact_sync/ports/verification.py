"""What the state remembers of the publications' health: the part of ``State`` that verification uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from artifact_sync.ports.records import QueuedTransfer
from artifact_sync.ports.store import Published

__all__ = ["VerifyingState"]


class VerifyingState(Protocol):
    """Every method is one durable transaction. Raises StateError, NoSpace."""

    def mirrored(self) -> AsyncIterator[QueuedTransfer]:
        """All of which something must stand in the store, streamed, but for what is being fetched just now."""

    def newest(self) -> AsyncIterator[QueuedTransfer]:
        """All PUBLISHED transfers, the newest end of a job first, streamed."""

    async def at(self, dest: str) -> QueuedTransfer | None:
        """The transfer to a destination, in whatever state."""

    async def stalest(self, limit: int) -> tuple[QueuedTransfer, ...]:
        """PUBLISHED transfers: those that were not verified (nor published) for longest, first."""

    async def published_figures(self) -> tuple[int, int]:
        """How many transfers are PUBLISHED, and the bytes of all of them."""

    def holding(self, sha256: str) -> AsyncIterator[QueuedTransfer]:
        """PUBLISHED transfers with a file of that hash, streamed. Takes a look at every publication."""

    async def verified(self, transfer_ids: Sequence[int], at: datetime) -> None:
        """Every byte of these was as it must be."""

    async def damaged(self, transfer_id: int) -> bool:
        """What was published becomes LOST. False where it is being fetched, or was taken away."""

    async def mended(self, transfer_id: int, published: Published, at: datetime) -> bool:
        """Whole again, without a download: PUBLISHED, or WANTED where it lacks something that it took up since.

        False where it is being fetched, or was taken away.
        """

"""The part of the state that verification uses, over the database's thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from artifact_sync.ports import Published, QueuedTransfer
from artifact_sync.state import verification
from artifact_sync.state.works import Works

__all__ = ["SqliteVerifying"]

_PAGE = 200


class SqliteVerifying(Works, Protocol):
    """Implements ``ports.VerifyingState`` for a class that can read and write."""

    async def mirrored(self) -> AsyncIterator[QueuedTransfer]:
        """As the port says. One that changes while this streams may or may not appear."""
        after = 0
        while page := await self.read(partial(verification.mirrored_page, after=after, limit=_PAGE)):
            for queued in page:
                yield queued
            after = page[-1].id

    async def newest(self) -> AsyncIterator[QueuedTransfer]:
        """As the port says. One that changes while this streams may or may not appear."""
        before: verification.Place | None = None
        while True:
            page, before = await self.read(partial(verification.newest_page, before=before, limit=_PAGE))
            for queued in page:
                yield queued
            if before is None:
                return

    async def at(self, dest: str) -> QueuedTransfer | None:
        """As the port says."""
        return await self.read(partial(verification.at, dest=dest))

    async def stalest(self, limit: int) -> tuple[QueuedTransfer, ...]:
        """As the port says."""
        return await self.read(partial(verification.stalest, limit=limit))

    async def published_figures(self) -> tuple[int, int]:
        """As the port says."""
        return await self.read(verification.published_figures)

    async def holding(self, sha256: str) -> AsyncIterator[QueuedTransfer]:
        """As the port says."""
        after = 0
        while page := await self.read(partial(verification.holding_page, sha256=sha256, after=after, limit=_PAGE)):
            for queued in page:
                if any(file.sha256 == sha256 for file in queued.files):
                    yield queued
            after = page[-1].id

    async def verified(self, transfer_ids: Sequence[int], at: datetime) -> None:
        """As the port says."""
        await self.write(partial(verification.verified, ids=transfer_ids, when=at))

    async def damaged(self, transfer_id: int) -> bool:
        """As the port says."""
        return await self.write(partial(verification.damaged, transfer_id=transfer_id))

    async def mended(self, transfer_id: int, published: Published, at: datetime) -> bool:
        """As the port says."""
        return await self.write(partial(verification.mended, transfer_id=transfer_id, published=published, when=at))

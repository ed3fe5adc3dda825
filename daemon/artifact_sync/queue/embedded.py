"""The queue inside the state database, for one daemon."""

from __future__ import annotations

import sqlite3
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from artifact_sync.core.after import HookKind
from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Outcome
from artifact_sync.ports import Published, QueuedTransfer
from artifact_sync.state import SqliteState, claims, verification

__all__ = ["EmbeddedQueue"]


class EmbeddedQueue:
    """Implements ``ports.Queue`` over a ``SqliteState``."""

    def __init__(self, state: SqliteState, *, after: Mapping[str, Sequence[HookKind]] | None = None) -> None:
        """``after``: what each rule, by its name, wants after a publication."""
        self._state = state
        self._after = after or {}
        #: The project that had the last turn.
        self._served = -1

    def renew(self, after: Mapping[str, Sequence[HookKind]]) -> None:
        """From now on the rules want this after a publication."""
        self._after = after

    async def claim(self, now: datetime) -> QueuedTransfer | None:
        """As the port says. A caller who is cancelled in it holds nothing."""
        taken: list[int] = []

        def claim(database: sqlite3.Connection) -> QueuedTransfer | None:
            queued = claims.claim(database, now, after=self._served)
            if queued is not None:
                taken.append(queued.id)
            return queued

        def give_back(database: sqlite3.Connection) -> None:
            for transfer_id in taken:
                claims.release(database, transfer_id)

        try:
            queued = await self._state.write(claim)
        except CancelledError:
            # Calls run in order: by then it is known what was taken, if anything.
            await self._state.write(give_back)
            raise
        if queued is not None:
            self._served = queued.transfer.project_id
        return queued

    async def stage(self, transfer_id: int, files: Sequence[StagedFile]) -> None:
        """As the port says."""
        await self._state.write(partial(claims.stage, transfer_id=transfer_id, files=files))

    async def publish(self, transfer_id: int, published: Published, at: datetime) -> None:
        """As the port says; WANTED instead, where it took up items since it was claimed."""
        await self._state.write(
            partial(claims.publish, transfer_id=transfer_id, published=published, at=at, after=self._after)
        )

    async def release(self, transfer_id: int) -> None:
        """As the port says."""
        await self._state.write(partial(claims.release, transfer_id=transfer_id))

    async def fail(self, transfer_id: int, outcome: Outcome, error: str, *, retry_at: datetime | None) -> None:
        """As the port says."""
        await self._state.write(
            partial(claims.fail, transfer_id=transfer_id, outcome=outcome, error=error, retry_at=retry_at)
        )

    async def revive(self) -> int:
        """As the port says."""
        return await self._state.write(claims.revive)

    async def hasten(self) -> None:
        """As the port says."""
        await self._state.write(claims.hasten)

    async def lost(self, transfer_id: int) -> None:
        """As the port says."""
        await self._state.write(partial(claims.lost, transfer_id=transfer_id))

    async def open_count(self) -> int:
        """As the port says."""
        return await self._state.read(claims.open_count)

    async def next_attempt(self, now: datetime) -> datetime | None:
        """As the port says."""
        return await self._state.read(partial(claims.next_attempt, now=now))

    def repairs(self) -> RepairQueue:
        """As the port says."""
        return RepairQueue(self._state, after=self._after)


class RepairQueue(EmbeddedQueue):
    """What is LOST, and nothing else, for a process that holds the store and ends with the last repair."""

    async def claim(self, now: datetime) -> QueuedTransfer | None:
        """As the port says, of what is LOST."""
        return await self._state.write(partial(verification.claim_lost, now=now))

    async def open_count(self) -> int:
        """As the port says, of what is LOST."""
        return await self._state.read(verification.open_lost)

    async def next_attempt(self, now: datetime) -> datetime | None:
        """As the port says, of what is LOST."""
        return await self._state.read(partial(verification.next_lost_attempt, now=now))

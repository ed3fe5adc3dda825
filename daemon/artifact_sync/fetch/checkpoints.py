"""Make a growing part durable now and then, while the next bytes come."""

from __future__ import annotations

from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.fetch.failures import FirstFailure

__all__ = ["Checkpoints", "Saved"]


class Saved(Protocol):
    """What is made durable."""

    @property
    def lasting(self) -> bool:
        """Whether it is of any use after a crash."""

    @property
    def unsaved(self) -> int:
        """Bytes that a crash would cost."""

    async def save(self) -> None:
        """Make what was written durable."""


class Checkpoints:
    """Saves ``part`` each time it grew by ``every`` bytes, in ``group``. What fails is told to ``failure``."""

    def __init__(self, part: Saved, *, every: int, group: TaskGroup, failure: FirstFailure) -> None:
        self._part = part
        self._every = every
        self._group = group
        self._failure = failure
        self._saving = anyio.Lock()

    async def grown(self) -> None:
        """Start a save if it is time; wait for the one before where the disk is slower than the network."""
        if not self._part.lasting or self._part.unsaved < self._every:
            return
        if self._saving.locked():
            if self._part.unsaved < 2 * self._every:
                return
            async with self._saving:
                pass
        await self._group.start(self._save)

    async def _save(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with self._saving:
            task_status.started()
            try:
                await self._part.save()
            except ArtifactSyncError as error:
                self._failure.happened(error)

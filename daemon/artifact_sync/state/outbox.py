"""The part of the state that hooks use, over the database's thread."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Protocol

from artifact_sync.core.after import HookKind
from artifact_sync.ports import DroppedHooks, DueHook, HookFigures, HookState, QueuedHook
from artifact_sync.state import hooks
from artifact_sync.state.works import Works

__all__ = ["SqliteOutbox"]

#: Examples.
_FEW = 10


class SqliteOutbox(Works, Protocol):
    """Implements ``ports.Outbox`` for a class that can read and write."""

    async def next_hooks(self, wanted: Collection[tuple[str, HookKind]], *, limit: int) -> tuple[DueHook, ...]:
        """As the port says."""
        return await self.read(partial(hooks.next_hooks, wanted=wanted, limit=limit))

    async def hook(self, hook_id: int) -> QueuedHook | None:
        """As the port says."""
        return await self.read(partial(hooks.hook, hook_id=hook_id))

    async def hook_ended(self, hook_id: int, state: HookState, *, detail: str, hint: str = "", at: datetime) -> None:
        """As the port says."""
        await self.write(partial(hooks.ended, hook_id=hook_id, state=state, detail=detail, hint=hint, at=at))

    async def hook_again(self, hook_id: int, *, detail: str, hint: str = "", due_at: datetime, counted: bool) -> None:
        """As the port says."""
        await self.write(
            partial(hooks.again, hook_id=hook_id, detail=detail, hint=hint, due_at=due_at, counted=counted)
        )

    async def drop_hooks(
        self, wanted: Collection[tuple[str, HookKind]], *, detail: str, at: datetime
    ) -> tuple[DroppedHooks, ...]:
        """As the port says."""
        return await self.write(partial(hooks.drop, wanted=wanted, detail=detail, at=at))

    async def retry_hooks(self, *, now: datetime, job: tuple[int, int] | None = None) -> int:
        """As the port says."""
        return await self.write(partial(hooks.retry, now=now, job=job))

    async def hooks_of(self, project_id: int, job_id: int) -> tuple[QueuedHook, ...]:
        """As the port says."""
        return await self.read(partial(hooks.of_job, project_id=project_id, job_id=job_id))

    async def hook_figures(self) -> HookFigures:
        """As the port says."""
        return await self.read(partial(hooks.figures, limit=_FEW))

    async def always_kept_by(self, project_id: int, job_id: int) -> frozenset[str]:
        """As the port says."""
        return await self.read(partial(hooks.always_kept_by, project_id=project_id, job_id=job_id))

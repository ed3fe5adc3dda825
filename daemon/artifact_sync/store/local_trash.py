"""The trash of the store on a local directory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol, TypeVar

from artifact_sync.core.model import StagedFile
from artifact_sync.store.disk import Syncer
from artifact_sync.store.exclusion import Exclusion
from artifact_sync.store.layout import Layout
from artifact_sync.store.reclaim import reclaim, unlinked
from artifact_sync.store.trash import Trash

__all__ = ["LocalTrash"]

T = TypeVar("T")

#: Objects removed in one go: publications wait meanwhile.
_SLICE = 1000


class _Runs(Protocol):
    async def __call__(self, doing: str, work: Callable[[], T]) -> T: ...


class LocalTrash:
    """Implements ``ports.Trash``; ``run`` runs work in a thread of the store's."""

    def __init__(self, layout: Layout, sync: Syncer, exclusion: Exclusion, run: _Runs) -> None:
        self._layout = layout
        self._trash = Trash(layout=layout, sync=sync)
        self._exclusion = exclusion
        self._run = run

    async def take(self, dest: str, files: Sequence[StagedFile], name: str) -> bool:
        """As the port says."""
        return await self._run(f"pruning {dest}", partial(self._alone, partial(self._trash.take, dest, files, name)))

    async def give_back(self, dest: str, name: str) -> bool:
        """As the port says."""
        return await self._run(f"restoring {dest}", partial(self._alone, partial(self._trash.give_back, dest, name)))

    async def names(self) -> list[str]:
        """As the port says."""
        return await self._run("listing the trash", self._trash.names)

    async def discard(self, name: str) -> bool:
        """As the port says."""
        return await self._run(f"emptying the trash of {name}", partial(self._trash.discard, name))

    async def unlinked(self, *, after: str, limit: int) -> list[str]:
        """As the port says."""
        return await self._run("listing objects", partial(unlinked, self._layout, after=after, limit=limit))

    async def reclaim(self, names: Collection[str]) -> int:
        """As the port says."""
        ordered = sorted(names)
        freed = 0
        for start in range(0, len(ordered), _SLICE):
            work = partial(reclaim, self._layout, ordered[start : start + _SLICE])
            freed += await self._run("removing objects", partial(self._alone, work))
        return freed

    def _alone(self, work: Callable[[], T]) -> T:
        self._layout.require_there()
        with self._exclusion.alone():
            return work()

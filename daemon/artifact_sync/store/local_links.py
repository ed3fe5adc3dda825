"""The links of the store on a local directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from anyio import Lock

from artifact_sync.core.newest import Link, Linkable
from artifact_sync.store.disk import Syncer
from artifact_sync.store.exclusion import Exclusion
from artifact_sync.store.latest import Pointer, link_scratch, pointed
from artifact_sync.store.layout import Layout

__all__ = ["LocalLinks"]

T = TypeVar("T")


class _Runs(Protocol):
    async def __call__(self, doing: str, work: Callable[[], T]) -> T: ...


class LocalLinks:
    """Implements ``ports.Links``; ``run`` runs work in a thread of the store's."""

    def __init__(self, layout: Layout, sync: Syncer, exclusion: Exclusion, run: _Runs) -> None:
        self._layout = layout
        self._pointer = Pointer(layout=layout, sync=sync)
        self._exclusion = exclusion
        self._run = run
        self._turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @property
    def busy(self) -> set[str]:
        """Names in staging that are in use now."""
        return {link_scratch(path) for path in self._turns}

    async def point(self, link: Link, to: Linkable) -> bool:
        """As the port says; calls for one link take turns."""
        turn = self._turns.setdefault(link.path, Lock())
        async with turn:
            return await self._run(f"linking {link.path}", partial(self._point, link, to))

    async def pointed(self, links: Iterable[str]) -> Mapping[str, str]:
        """As the port says."""
        return await self._run("looking at links", partial(pointed, self._layout.tree, tuple(links)))

    def _point(self, link: Link, to: Linkable) -> bool:
        self._layout.require_there()
        with self._exclusion.shared():
            return self._pointer.point(link, to)

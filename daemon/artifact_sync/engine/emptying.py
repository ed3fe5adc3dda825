"""Out of the trash for good: what was long enough in it, and before that the oldest where the disk is too full.

Space comes back only here. What was pruned shares its bytes with an object, which goes when nobody else shares them.
"""

from __future__ import annotations

from collections.abc import Sequence

from artifact_sync.core.events import TrashEmptied
from artifact_sync.engine.means import Means
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.engine.pruning import moment_of
from artifact_sync.ports import Store

__all__ = ["Emptying"]

#: Objects looked at together.
_PAGE = 10_000


class Emptying:
    """Empties one store's trash."""

    def __init__(self, means: Means, store: Store) -> None:
        self._state = means.state
        self._clock = means.clock
        self._policy = means.policy
        self._emit = means.emit
        self._store = store
        #: Whether there may be objects that nobody needs.
        self._search = False
        #: Whether something was in the trash when it was looked at last; or nobody has looked yet.
        self.holds = True

    def renew(self, policy: EnginePolicy) -> None:
        """Other limits from now on."""
        self._policy = policy

    def search(self) -> None:
        """Look for objects that nobody needs, also if nothing leaves the trash: a killed run may have left them."""
        self._search = True

    async def tidy(self) -> None:
        """Empty what is due, and more where there is too little space. Raises StoreError, StateError, NoSpace."""
        names = await self._names()
        cut = self._clock.now() - self._policy.trash
        due = [name for name in names if (at := moment_of(name)) is not None and at <= cut]
        await self._empty(due, early=False)
        left = names[len(due) :]
        several = 1
        while left and await self._too_full():
            # Each round looks at every object, so that many small ones are not worth a round each.
            await self._empty(left[:several], early=True)
            left = left[several:]
            several *= 2
        self.holds = bool(left)

    async def _names(self) -> list[str]:
        """Of what came there by pruning and is not on its way, oldest first."""
        busy = {queued.pruned.trash for queued in await self._state.half_pruned() if queued.pruned is not None}
        return [name for name in await self._store.trash.names() if name not in busy and moment_of(name) is not None]

    async def _too_full(self) -> bool:
        return bool(self._policy.min_free) and await self._store.free() < self._policy.min_free

    async def _empty(self, names: Sequence[str], *, early: bool) -> None:
        gone = 0
        for name in names:
            # In this order: what a kill leaves of it is nobody's, and goes when its time has come.
            await self._state.emptied(name)
            gone += await self._store.trash.discard(name)
        if gone or self._search:
            freed = await self._reclaim()
            self._search = False
            if gone:
                self._emit(TrashEmptied(publications=gone, freed=freed, early=early))

    async def _reclaim(self) -> int:
        freed, after = 0, ""
        while names := await self._store.trash.unlinked(after=after, limit=_PAGE):
            # Also an object without a file is the last copy of what somebody removed from the tree.
            needed = await self._state.referenced(names)
            freed += await self._store.trash.reclaim(set(names) - needed)
            after = names[-1]
        return freed

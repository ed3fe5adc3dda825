"""What retention will take of what a pass is to bring: foretold before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from artifact_sync.core.holding import held
from artifact_sync.core.model import Transfer
from artifact_sync.core.newest import Link, Linkable
from artifact_sync.core.planning import links
from artifact_sync.core.retention import Held, RetentionPlan
from artifact_sync.core.rules import Rule
from artifact_sync.engine.holdings import Linked, plan_of
from artifact_sync.ports import State
from artifact_sync.ports.links import LinkView

__all__ = ["Coming"]


class Coming:
    """Publications that a pass is to bring. Holds about a kilobyte of each, and of each link the newest."""

    def __init__(self, rules: Sequence[Rule], *, now: datetime) -> None:
        """``now``: when the pass would be."""
        self._rules = rules
        self._now = now
        self._held: list[Held] = []
        self._newest: dict[str, tuple[Link, Linkable]] = {}

    def add(self, transfer: Transfer, size: int) -> int:
        """It would come, with so many bytes; the number that a plan knows it by, which is no published one's."""
        number = -1 - len(self._held)
        # Whether somebody has pinned the job, the plan looks up.
        coming = held(transfer, self._rules, number=number, size=size, published_at=self._now, path=None, pinned=False)
        self._held.append(coming)
        to = Linkable(transfer.dest, transfer.job)
        for link in links(transfer, self._rules):
            known = self._newest.get(link.path)
            if known is None or to.rank(link.by) > known[1].rank(link.by):
                self._newest[link.path] = link, to
        return number

    async def plan(self, state: State, *, linked: Linked, view: LinkView) -> RetentionPlan:
        """What stays and what goes of what is published and what would come. Raises StateError, StoreError."""

        async def afterwards() -> frozenset[str]:
            # A publication that a link would leave behind may have another one: it counts as linked.
            return await linked() | {to.dest for link, to in await self._moved(state, view)}

        return await plan_of(state, self._rules, now=self._now, linked=afterwards, coming=self._held)

    async def _moved(self, state: State, view: LinkView) -> list[tuple[Link, Linkable]]:
        """The links that would move, and where to: none that is at a newer publication."""
        pointed = await view.pointed(self._newest) if self._newest else {}
        moved: list[tuple[Link, Linkable]] = []
        for link, to in self._newest.values():
            dest = pointed.get(link.path)
            there = await state.at(dest) if dest is not None else None
            if there is None or to.rank(link.by) > Linkable(there.transfer.dest, there.transfer.job).rank(link.by):
                moved.append((link, to))
        return moved

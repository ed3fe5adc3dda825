"""Keeps links at the newest publications: with each publication, and at the start what no publication could do."""

from __future__ import annotations

from collections.abc import Sequence

from artifact_sync.core.events import Emit, LatestFailed, LatestMoved
from artifact_sync.core.model import Transfer
from artifact_sync.core.newest import Link, Linkable
from artifact_sync.core.planning import links
from artifact_sync.core.rules import Rule
from artifact_sync.errors import NoSpace, StoreDamaged, StoreError
from artifact_sync.ports import Clock, State, Store, Trouble

__all__ = ["Latest", "Survey"]

#: Links that a survey holds in memory.
_MOST = 10_000


class Latest:
    """The links that the rules ask for. They follow from a transfer and the rules of today, so nobody has to remember them."""

    def __init__(self, *, store: Store, state: State, clock: Clock, rules: Sequence[Rule], emit: Emit) -> None:
        self._links = store.links
        self._state = state
        self._clock = clock
        self.renew(rules)
        self._emit = emit
        self._in_trouble: set[str] = set()

    def renew(self, rules: Sequence[Rule]) -> None:
        """Links follow these rules from now on; a survey moves those for what is here already."""
        self._rules = tuple(rule for rule in rules if rule.publish.latest is not None)

    def of(self, transfer: Transfer) -> tuple[Link, ...]:
        """The links that what the transfer publishes is a candidate for."""
        return links(transfer, self._rules)

    async def published(self, transfer: Transfer) -> None:
        """The publication stands, whole and durable: its links move to it unless they are at a newer one.

        A link that cannot be made is told, and no reason to have nothing mirrored. Raises NoSpace, StoreDamaged, StateError.
        """
        for link in self.of(transfer):
            await self._point(link, Linkable(transfer.dest, transfer.job))

    def survey(self) -> Survey:
        """Look at all publications, one by one, to have every link at the newest."""
        return Survey(self)

    async def settle(self, newest: Sequence[tuple[Link, Linkable]]) -> None:
        """Have each link point there unless it is at a newer one. What is as it should be costs no write. Raises as above."""
        at = await self._links.pointed([link.path for link, _ in newest]) if newest else {}
        for link, to in newest:
            if at.get(link.path) != to.dest:
                await self._point(link, to)

    async def _point(self, link: Link, to: Linkable) -> None:
        try:
            moved = await self._links.point(link, to)
        except (NoSpace, StoreDamaged):
            raise
        except StoreError as error:
            self._emit(LatestFailed(link=link.path, dest=to.dest, error=str(error), hint=error.hint))
            self._in_trouble.add(link.path)
            trouble = Trouble(subject=_subject(link), error=str(error), hint=error.hint, since=self._clock.now())
            await self._state.note_trouble(trouble)
            return
        if moved:
            self._emit(LatestMoved(link=link.path, dest=to.dest))
        if link.path in self._in_trouble:
            self._in_trouble.discard(link.path)
            await self._state.clear_trouble(_subject(link))


class Survey:
    """The newest of the publications met so far, for each link that may point at one of them."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest
        self._newest: dict[str, tuple[Link, Linkable]] = {}

    async def met(self, transfer: Transfer) -> None:
        """The transfer's publication stands in the store. Raises NoSpace, StoreDamaged, StateError."""
        to = Linkable(transfer.dest, transfer.job)
        for link in self._latest.of(transfer):
            known = self._newest.get(link.path)
            if known is None or to.rank(link.by) > known[1].rank(link.by):
                self._newest[link.path] = link, to
        if len(self._newest) > _MOST:
            await self.end()

    async def end(self) -> None:
        """Move the links of which something was met. Raises NoSpace, StoreDamaged, StateError."""
        newest = tuple(self._newest.values())
        self._newest.clear()
        await self._latest.settle(newest)


def _subject(link: Link) -> str:
    return f"link {link.path}"

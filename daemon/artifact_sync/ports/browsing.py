"""What a person looks for in the mirror: what runs, what failed, what came last, what expires next, what is called so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from artifact_sync.ports.catalogue import MirroredProject
from artifact_sync.ports.records import KnownTransfer, TransferState, Trouble

__all__ = ["Browsing", "Listed", "Scope"]

#: Ids of the projects that are looked at; None: all.
Scope = Collection[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(KnownTransfer):
    """A transfer in a list: without its files, of which there may be thousands."""

    #: Bytes published.
    size: int = 0

    @property
    def mirrored(self) -> bool:
        """Whether something of it stands in the mirror."""
        return self.published_at is not None and self.state not in _AWAY


_AWAY = frozenset({TransferState.LOST, TransferState.PRUNING, TransferState.PRUNED})


class Browsing(Protocol):
    """It only reads, by indices, and gives at most ``limit``. Raises StateError, NoSpace."""

    async def projects(self) -> Sequence[MirroredProject]:
        """Every project of which a transfer is known, mirrored or not, by id."""

    async def at_risk(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """Not mirrored and with a deadline, soonest first."""

    async def expiring(self, scope: Scope, bounds: Sequence[datetime]) -> Sequence[int]:
        """How many that are not mirrored expire between each two bounds, the first included and the second not."""

    async def running(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """Being downloaded or published, the oldest first."""

    async def failed(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """Whose last attempt failed, newest failure first."""

    async def recent(self, scope: Scope, *, limit: int, also: Collection[int] = ()) -> Sequence[Listed]:
        """Publications of the newest jobs and of the transfers ``also``, latest publication first."""

    async def refs(self, project_id: int, *, after: str, limit: int) -> Sequence[Listed]:
        """For each ref of a project behind ``after``, in order, the publication of its newest job."""

    async def search(self, text: str, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """Transfers of the job with this number, and those with every word of the text in their destination, newest first."""

    async def troubles(self, *, limit: int) -> Sequence[Trouble]:
        """What could not be looked at, longest-standing first."""

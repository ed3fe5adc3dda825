"""What becomes of a damaged publication: out of sight, whole again from good copies, or else wanted again."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from artifact_sync.core.events import Damaged, Emit, Mended, names_of
from artifact_sync.core.inspection import Expected, Fault, Inspection
from artifact_sync.errors import Corrupt, NoSpace, Obstructed
from artifact_sync.ports import Clock, Inspector, Publication, Published, QueuedTransfer, State, Store, TransferState

__all__ = ["Mender", "damaged_event", "expected_of", "unmoved"]

#: Damaged names in one event.
_TOLD = 100
#: Where a publication stands that nobody works on.
_STANDING = frozenset({TransferState.PUBLISHED, TransferState.WANTED, TransferState.LOST, TransferState.FAILED})


@dataclass(kw_only=True)
class Mender:
    """Sets aside and mends, one publication after the other; only the process that holds the store has one."""

    store: Store
    state: State
    clock: Clock
    emit: Emit
    inspector: Inspector
    #: Publications that were damaged, that are whole again, and the destinations of those that are wanted again.
    damaged: int = 0
    whole: int = 0
    wanted: set[str] = field(default_factory=set)
    #: Destinations of which the state is wrong, not the store.
    disagreeing: set[str] = field(default_factory=set)
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def mend(self, queued: QueuedTransfer, inspection: Inspection) -> None:
        """Of a publication that is damaged, and of all that share its damaged bytes. Raises StoreDamaged, StateError."""
        async with self._turn:
            shared = await self._one(queued, inspection)
            for sha256 in sorted(shared):
                async for other in self.state.holding(sha256):
                    (found,) = await self.inspector.inspect(expected_of(other))
                    if other.id != queued.id and found.harmed and await unmoved(other, self.state):
                        self.emit(damaged_event(other, found))
                        await self._one(other, found)

    async def _one(self, queued: QueuedTransfer, inspection: Inspection) -> frozenset[str]:
        self.damaged += 1
        transfer = queued.transfer
        if all(damage.fault is Fault.STATE for damage in inspection.harmed):
            self.disagreeing.add(transfer.dest)
            return frozenset()
        shared = await self.store.set_aside(expected_of(queued), inspection)
        published = await self._restored(queued)
        whole = published is not None and await self.state.mended(queued.id, published, self.clock.now())
        if whole:
            self.whole += 1
        elif await self.state.damaged(queued.id):
            self.wanted.add(transfer.dest)
        self.emit(Mended(**names_of(transfer), whole=whole))
        return shared

    async def _restored(self, queued: QueuedTransfer) -> Published | None:
        at = queued.published_at or self.clock.now()
        try:
            return await self.store.restore(Publication(transfer=queued.transfer, files=queued.files, at=at))
        except (Corrupt, Obstructed, NoSpace):
            # The attempt to fetch it says so again, to somebody who can act on it.
            return None


def expected_of(queued: QueuedTransfer) -> Expected:
    """What must stand in the store of it."""
    return Expected(dest=queued.transfer.dest, files=queued.files, manifest_sha256=queued.manifest_sha256)


async def unmoved(queued: QueuedTransfer, state: State) -> bool:
    """Whether it is still as it was read: not being added to, fetched again or taken away meanwhile."""
    now = await state.at(queued.transfer.dest)
    return now is not None and now.state in _STANDING and expected_of(now) == expected_of(queued)


def damaged_event(queued: QueuedTransfer, inspection: Inspection) -> Damaged:
    """What is told of it."""
    found = inspection.harmed
    return Damaged(**names_of(queued.transfer), damages=found[:_TOLD], count=len(found))

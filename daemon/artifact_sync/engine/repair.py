"""Verify, set aside what is damaged, and bring it back: from good copies, or from GitLab where that still has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio

from artifact_sync.core.events import Emit
from artifact_sync.core.inspection import Inspection
from artifact_sync.engine.groups import single_error
from artifact_sync.engine.mending import Mender
from artifact_sync.engine.verifying import WORKERS, Gauge, Verified, verify
from artifact_sync.engine.workers import Workers
from artifact_sync.ports import Clock, Published, QueuedTransfer, State, Store, TransferState

__all__ = ["Repaired", "repair"]

#: Verified publications in one transaction.
_BATCH = 100


@dataclass(slots=True, kw_only=True)
class Repaired:
    """What a repair did."""

    verified: Verified
    #: Publications that good copies made whole again, and those that were fetched.
    mended: int = 0
    fetched: int = 0
    #: Those that are not whole, as the state has them now.
    unrepaired: list[QueuedTransfer] = field(default_factory=list)
    #: Destinations of which the state says something else than the manifest that it knows.
    disagreeing: tuple[str, ...] = ()


async def repair(
    source: AsyncIterator[QueuedTransfer],
    *,
    store: Store,
    state: State,
    clock: Clock,
    workers: Workers,
    emit: Emit,
    gauge: Gauge,
) -> Repaired:
    """Do it. ``workers`` work on what was lost alone.

    Raises CredentialRefused, NoSpace, StateError, StoreDamaged.
    """
    inspector = store.inspector(threads=WORKERS, progress=gauge.read)
    mender = Mender(store=store, state=state, clock=clock, emit=emit, inspector=inspector)
    good: list[int] = []

    async def seen(queued: QueuedTransfer, inspection: Inspection) -> None:
        if inspection.harmed:
            await mender.mend(queued, inspection)
        elif queued.state is TransferState.PUBLISHED:
            good.append(queued.id)
            if len(good) >= _BATCH:
                ids, good[:] = tuple(good), []
                await state.verified(ids, clock.now())
        else:
            # Somebody has put it back.
            found = Published(dest=queued.transfer.dest, size=inspection.size, manifest_sha256=queued.manifest_sha256)
            await state.mended(queued.id, found, clock.now())

    verified = await verify(source, inspector=inspector, state=state, emit=emit, seen=seen, gauge=gauge)
    await state.verified(good, clock.now())
    if mender.wanted:
        gauge.fetching()
        finish = anyio.Event()
        finish.set()
        workers.begin()
        with single_error():
            await workers.run(finish)
    done = Repaired(verified=verified, mended=mender.whole, disagreeing=tuple(sorted(mender.disagreeing)))
    for dest in sorted(mender.wanted):
        now = await state.at(dest)
        if now is not None and now.state is TransferState.PUBLISHED:
            done.fetched += 1
        elif now is not None:
            done.unrepaired.append(now)
    await state.count({"damage.found": mender.damaged, "damage.mended": done.mended + done.fetched})
    return done

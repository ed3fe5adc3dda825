"""What the start makes of the run before: every publication is finished, every part can be resumed or is gone."""

from __future__ import annotations

from artifact_sync.core.events import Recovered
from artifact_sync.engine.latest import Latest
from artifact_sync.engine.pruning import finish
from artifact_sync.errors import Corrupt, Obstructed
from artifact_sync.ports import Clock, Publication, Queue, QueuedTransfer, State, Store, TransferState
from artifact_sync.ports.steps import stepped

__all__ = ["recover"]


async def recover(*, store: Store, state: State, queue: Queue, clock: Clock, latest: Latest) -> Recovered:
    """Steps R1 to R4. Raises StateError, StoreDamaged, NoSpace.

    After a kill without power loss, files are visible that are not durable yet, so the store is synced before anything
    is believed. A staged transfer whose files prove to be what was staged is published; any other starts over. Links move
    to the newest of what is there then: a kill may have come before the swap, rules may ask for others than before, and what
    one pointed at may be gone.
    """
    await store.sync()
    republished = restarted = missing = pruned = 0
    for queued in await state.half_pruned():
        pruned += await _moved(queued, store, state)
    for queued in await state.unfinished():
        stepped()
        if queued.state is TransferState.STAGED and await _republished(queued, store, queue, clock):
            republished += 1
        else:
            await queue.release(queued.id)
            restarted += 1
    survey = latest.survey()
    async for queued in state.published():
        stepped()
        if not await store.exists(queued.transfer.dest, queued.files):
            await queue.lost(queued.id)
            missing += 1
        else:
            await survey.met(queued.transfer)
    await survey.end()
    resumable = await state.resumable()
    strays = await store.sweep(lambda name: _transfer_of(name) in resumable)
    return Recovered(
        republished=republished, restarted=restarted, strays_removed=strays, missing=missing, pruned=pruned
    )


def _transfer_of(part: str) -> int | None:
    """Of a part that can be resumed; what an archive was unpacked into cannot."""
    identity, _, kind = part.partition("-")
    return int(identity) if identity.isdigit() and kind.endswith(".part") else None


async def _republished(queued: QueuedTransfer, store: Store, queue: Queue, clock: Clock) -> bool:
    there = await store.has(queued.transfer.dest, queued.files)
    if not there and not await store.staged(queued.files):
        return False
    now = clock.now()
    try:
        published = await store.publish(Publication(transfer=queued.transfer, files=queued.files, at=now))
    except (Corrupt, Obstructed):
        # This one's destination alone is in the way; the next attempt says so again, and is no reason not to start.
        return False
    await queue.publish(queued.id, published, now)
    return True


async def _moved(queued: QueuedTransfer, store: Store, state: State) -> bool:
    """Complete a publication's way into the trash, or back."""
    try:
        await finish(queued, trash=store.trash, state=state)
    except Obstructed:
        # Neither is this one: retention tries again, and says what is in the way.
        return False
    return True

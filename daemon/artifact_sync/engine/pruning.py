"""One publication's way into the trash and back, which can be taken up again wherever it was left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import anyio

from artifact_sync.ports import Pruned, QueuedTransfer, State, TransferState, Trash

__all__ = ["finish", "moment_of", "prune", "restore", "trash_name"]

_FORM = "%Y%m%dT%H%M%S%fZ"


def trash_name(at: datetime, transfer_id: int) -> str:
    """The name in the trash; ordered by it, what came first is first."""
    return f"{at.astimezone(UTC).strftime(_FORM)}-{transfer_id}"


def moment_of(name: str) -> datetime | None:
    """When something came into the trash, by its name; None for a name that was not given here."""
    try:
        return datetime.strptime(name.partition("-")[0], _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


async def prune(queued: QueuedTransfer, *, why: str, at: datetime, trash: Trash, state: State) -> bool:
    """Move a publication into the trash; False where it is pinned, or not published, by now.

    Raises what the store raises, and the next call of ``finish`` completes it; StateError, NoSpace.
    """
    name = trash_name(at, queued.id)
    # A stop may come at any time, and then waits for this one to end. A kill is for recovery to mend.
    with anyio.CancelScope(shield=True):
        if not await state.pruning(queued.id, why=why, trash=name, at=at):
            return False
        pruned = Pruned(at=at, why=why, trash=name)
        await finish(replace(queued, state=TransferState.PRUNING, pruned=pruned), trash=trash, state=state)
    return True


async def restore(queued: QueuedTransfer, *, trash: Trash, state: State) -> bool:
    """Move it back; False where it cannot be brought back any more. Raises as ``prune``; Obstructed, and it stays pruned."""
    back = False
    with anyio.CancelScope(shield=True):
        if queued.pruned is not None and await state.restoring(queued.id):
            pruned = replace(queued.pruned, restoring=True)
            on_its_way = replace(queued, state=TransferState.PRUNING, pruned=pruned)
            back = await finish(on_its_way, trash=trash, state=state)
    return back


async def finish(queued: QueuedTransfer, *, trash: Trash, state: State) -> bool:
    """Complete what was begun with a transfer in PRUNING; whether its publication stands at its destination then.

    Raises what the store raises, and it stays in PRUNING; StateError, NoSpace.
    """
    pruned, dest = queued.pruned, queued.transfer.dest
    name = pruned.trash if pruned is not None else None
    if pruned is None or name is None:
        return False
    if pruned.restoring and await trash.give_back(dest, name):
        await state.restored(queued.id)
        return True
    there = not pruned.restoring and await trash.take(dest, queued.files, name)
    await state.pruned(queued.id)
    if not there:
        await state.emptied(name)
    return False

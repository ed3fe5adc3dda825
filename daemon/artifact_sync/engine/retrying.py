"""When a transfer that failed is tried again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from artifact_sync.core.backoff import delay
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.errors import ArtifactSyncError, DoesNotFit, Obstructed, Transient
from artifact_sync.ports import QueuedTransfer

__all__ = ["next_attempt"]

#: At least so many tries fit in before a deadline.
_TRIES_LEFT = 4
#: Attempts in a pass at what does not fit on the disk: others that run may give room back.
_FITS = 2
#: Until it is seen again whether there is room.
_ROOM_AFTER = timedelta(seconds=30)


def next_attempt(
    queued: QueuedTransfer, error: ArtifactSyncError, *, policy: EnginePolicy, now: datetime, once: bool
) -> datetime | None:
    """After this failure; None: not by itself. ``once``: in a single pass, which does not wait for better times."""
    attempts = queued.attempts + 1
    # What obstructs a destination is for a person to remove; the next pass looks again.
    if error.outcome.final or isinstance(error, Obstructed):
        return None
    if isinstance(error, DoesNotFit):
        # No attempt of its own makes room. A pass ends without it; the daemon goes on when there is some.
        return None if once and attempts >= min(policy.attempts, _FITS) else now + _ROOM_AFTER
    deadline = queued.transfer.deadline
    if attempts >= policy.attempts:
        # What expires is tried until it has: a later pass may be too late.
        if once or deadline is None or deadline <= now:
            return None
        left = (deadline - now) / _TRIES_LEFT
        return now + max(timedelta(seconds=policy.retry_cap), min(left, policy.revive_every))
    wait = delay(
        attempts,
        base=policy.retry_base,
        cap=policy.retry_cap,
        jitter=random.random(),
        retry_after=error.retry_after if isinstance(error, Transient) else None,
    )
    if deadline is not None and deadline > now:
        wait = min(wait, (deadline - now).total_seconds() / _TRIES_LEFT)
    return now + timedelta(seconds=wait)

"""Several subscribers as one."""

from __future__ import annotations

from artifact_sync.core.events import Emit, Event

__all__ = ["fan_out"]


def fan_out(*subscribers: Emit) -> Emit:
    """One emitter that tells all of them, in order."""

    def tell(event: Event) -> None:
        for subscriber in subscribers:
            subscriber(event)

    return tell

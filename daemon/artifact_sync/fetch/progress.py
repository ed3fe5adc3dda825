"""Tell how far a transfer has come, a few times a second."""

from __future__ import annotations

from artifact_sync.core.events import Emit, Received
from artifact_sync.ports import Clock
from artifact_sync.ports.steps import stepped

__all__ = ["ProgressReport"]


class ProgressReport:
    """Emits ``Received`` for one transfer, no more often than each ``interval`` seconds."""

    def __init__(self, transfer_id: int, *, emit: Emit, clock: Clock, interval: float) -> None:
        self._transfer_id = transfer_id
        self._emit = emit
        self._clock = clock
        self._interval = interval
        self._before = 0
        self._said: int | None = None
        self._said_at = float("-inf")

    def received(self, size: int) -> None:
        """The current item has ``size`` bytes."""
        stepped()
        now = self._clock.monotonic()
        if now - self._said_at >= self._interval:
            self._say(self._before + size, now)

    def item_ended(self, size: int) -> None:
        """The current item is complete with ``size`` bytes; said at once."""
        stepped()
        self._before += size
        if self._said != self._before:
            self._say(self._before, self._clock.monotonic())

    def _say(self, received: int, now: float) -> None:
        self._said, self._said_at = received, now
        self._emit(Received(transfer_id=self._transfer_id, received=received))

"""What goes on just now, by what the daemon tells; whoever watches is woken."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anyio

from artifact_sync.core import events
from artifact_sync.errors import Outcome

__all__ = ["Live", "Running"]

#: Publications and hints that are remembered.
_LATEST = 50
_HINTS = 500


@dataclass(slots=True)
class Running:
    """Bytes of a transfer under way."""

    received: int = 0
    #: None where nothing was announced.
    total: int | None = None


class Live:
    """Hears events. What it holds is bounded by the transfers that run at the same time."""

    def __init__(self) -> None:
        self._running: dict[int, Running] = {}
        self._hints: OrderedDict[int, str] = OrderedDict()
        self._moved = anyio.Event()
        #: Ids of the transfers that were published last, the newest last.
        self.published: deque[int] = deque(maxlen=_LATEST)
        #: Bytes received since the start.
        self.received = 0
        #: How often bytes came, and how often anything else that is shown happened.
        self.pieces = 0
        self.changes = 0

    @property
    def running(self) -> Mapping[int, Running]:
        """Transfers under way, by id."""
        return MappingProxyType(self._running)

    def hint(self, transfer_id: int) -> str:
        """What a person can do about the last failure of a transfer; empty where that is not remembered."""
        return self._hints.get(transfer_id, "")

    def hear(self, event: events.Event) -> None:
        """Something happened."""
        match event:
            case events.Received():
                self._receive(event)
                return
            case events.TransferStarted():
                self._running[event.transfer_id] = Running(total=event.total)
            case events.TransferEnded():
                self._end(event)
            case events.Discovered() if not event.selected:
                return
            case _:
                pass
        self.changes += 1
        self.wake()

    def wake(self) -> None:
        """Whoever waits looks again."""
        if self._moved.statistics().tasks_waiting:
            self._moved.set()
            self._moved = anyio.Event()

    async def wait(self, seen: tuple[int, int], stopping: anyio.Event) -> None:
        """Until ``pieces`` or ``changes`` are others than those, or the server stops and wakes who waits."""
        while (self.pieces, self.changes) == seen and not stopping.is_set():
            await self._moved.wait()

    def _receive(self, event: events.Received) -> None:
        running = self._running.get(event.transfer_id)
        if running is None:
            return
        # It falls when a part starts over; what came is counted once more then, because it comes once more.
        self.received += max(0, event.received - running.received)
        running.received = event.received
        self.pieces += 1
        self.wake()

    def _end(self, event: events.TransferEnded) -> None:
        self._running.pop(event.transfer_id, None)
        self._hints.pop(event.transfer_id, None)
        if event.outcome is Outcome.PUBLISHED:
            self.published.append(event.transfer_id)
        elif event.hint:
            self._hints[event.transfer_id] = event.hint
            if len(self._hints) > _HINTS:
                self._hints.popitem(last=False)

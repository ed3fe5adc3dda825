"""Webhooks that have come, so that one that comes again does nothing.

They are known at once and written down in batches: no answer waits for a disk. What a crash loses is that some were here;
when one of them comes again, something is looked at twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import structlog
from anyio import CancelScope

from artifact_sync.errors import NoSpace, StateError
from artifact_sync.ports import Clock
from artifact_sync.ports.deliveries import Deliveries

__all__ = ["Remembered"]

log = structlog.get_logger()

#: GitLab repeats a delivery by hand alone, and a signed one is good for minutes.
_FOR = timedelta(days=1)
#: Some 10 MB of memory.
_MOST = 50_000
_WRITE_EVERY = 5.0


class Remembered:
    """Keys of deliveries, for a day and not too many. Use ``load`` first, and let ``run`` run."""

    def __init__(self, deliveries: Deliveries, clock: Clock, *, most: int = _MOST) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._most = most
        #: In the order in which they came.
        self._known: dict[bytes, datetime] = {}
        self._unwritten: dict[bytes, datetime] = {}

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    async def load(self) -> None:
        """Know those that came before the start. Raises StateError."""
        self._known = dict(await self._deliveries.seen(since=self._clock.now() - _FOR, most=self._most))

    def __contains__(self, key: bytes) -> bool:
        """Whether it came within a day."""
        at = self._known.get(key)
        return at is not None and self._clock.now() - at < _FOR

    def add(self, key: bytes) -> None:
        """It has come."""
        # Anew at the end, where one of an earlier day is known.
        self._known.pop(key, None)
        self._known[key] = self._unwritten[key] = self._clock.now()
        for keys in (self._known, self._unwritten):
            for oldest in tuple(islice(keys, max(0, len(keys) - self._most))):
                del keys[oldest]

    async def run(self) -> None:
        """Write them down again and again, and once more when cancelled."""
        try:
            while True:
                await self._clock.sleep(_WRITE_EVERY)
                await self.write()
        finally:
            with CancelScope(shield=True):
                await self.write()

    async def write(self) -> None:
        """Write down what came since the last time. What cannot be written is tried again the next time."""
        if not (batch := dict(self._unwritten)):
            return
        try:
            await self._deliveries.remember(batch, forget=self._clock.now() - _FOR, most=self._most)
        except (StateError, NoSpace) as error:
            log.warning("webhook.not_remembered", error=str(error), hint=error.hint)
            return
        for key in batch:
            self._unwritten.pop(key, None)

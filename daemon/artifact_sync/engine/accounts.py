"""What was asked of GitLab and what became of it, added up in the state: a person sees it in `status`, also after a restart."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import anyio

from artifact_sync.core.events import Event, HookEnded, TransferEnded
from artifact_sync.engine.means import Means
from artifact_sync.errors import NoSpace

__all__ = ["Accounts"]

_EVERY = 60.0


class Accounts:
    """Requests by purpose (``requests.poll``), how many of them were answered with 304 and with 429, and how transfers ended.

    Every end of an attempt counts under the outcome's name (``outcome.corrupt``), that of a hook under its result
    (``hook.done``).
    """

    def __init__(self, means: Means) -> None:
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._emit = means.emit
        self._outcomes: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()

    def counting(self, event: Event) -> None:
        """Count it if it is the end of a transfer's attempt, and tell it on."""
        if isinstance(event, TransferEnded):
            self._outcomes[f"outcome.{event.outcome}"] += 1
        elif isinstance(event, HookEnded):
            self._outcomes[f"hook.{event.result}"] += 1
        self._emit(event)

    async def run(self) -> None:
        """Settle every minute, and when cancelled. Raises StateError."""
        try:
            while True:
                await self._clock.sleep(_EVERY)
                await self.settle()
        finally:
            with anyio.CancelScope(shield=True):
                await self.settle()

    async def settle(self) -> None:
        """Write down what came since the last time; where the disk is full, with the next time. Raises StateError."""
        kinds = {
            "requests": self._remote.requests,
            "unchanged": self._remote.unchanged,
            "throttled": self._remote.throttled,
        }
        counts = Counter(
            {
                f"{kind}.{priority.name.lower()}": number
                for kind, by_priority in kinds.items()
                for priority, number in by_priority.items()
            }
        )
        counts += self._outcomes
        if grown := counts - self._settled:
            with suppress(NoSpace):
                await self._state.count(grown)
                self._settled = counts

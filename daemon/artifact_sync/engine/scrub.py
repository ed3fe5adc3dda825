"""The daemon reads all that it has once in a while, a little at a time: what rots is found while GitLab still has it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import structlog

from artifact_sync.core.events import Emit, Foreign
from artifact_sync.engine.mending import Mender, damaged_event, expected_of, unmoved
from artifact_sync.errors import NoSpace, StoreError
from artifact_sync.ports import Clock, Inspector, QueuedTransfer, State, Store

__all__ = ["Scrubber"]

log = structlog.get_logger()

#: What is left of the period where the daemon does not run all the time, or the store grows.
_SLACK = 0.8
#: Seconds: before the first, and between two looks at whether it is time for the next.
_FIRST, _LOOK = 60.0, 3600.0
#: What a publication costs beside its bytes, in bytes.
_EACH = 1 << 18
#: Seconds between two publications at the least.
_LEAST = 0.05
#: Publications that may be passed over.
_REFUSED = 100
#: Foreign names in one event.
_TOLD = 20


class Scrubber:
    """Looks into the publication that nobody looked into for longest, again and again, evenly over a period."""

    def __init__(self, *, store: Store, state: State, clock: Clock, emit: Emit) -> None:
        self._store = store
        self._state = state
        self._clock = clock
        self._emit = emit
        #: Publications that could not be looked into, so that the others have their turn.
        self._refused: set[int] = set()

    async def run(self, period: timedelta) -> None:
        """Until cancelled, which takes no longer than one block. Raises StateError."""
        await self._clock.sleep(_FIRST)
        while True:
            # What an inspector remembers of shared bytes is believed no longer than anything else.
            await self._round(self._store.inspector(), period.total_seconds())

    async def _round(self, inspector: Inspector, period: float) -> None:
        mender = Mender(store=self._store, state=self._state, clock=self._clock, emit=self._emit, inspector=inspector)
        last, size = self._clock.monotonic(), 0
        until = last + period
        wait = 0.0
        while (now := self._clock.monotonic()) < until:
            if now - last < wait:
                await self._clock.sleep(min(wait - (now - last), _LOOK))
                wait = await self._pause(size, period)
                continue
            last = now
            looked = await self._next(inspector, mender)
            size = looked or 0
            wait = _LOOK if looked is None else await self._pause(size, period)

    async def _pause(self, size: int, period: float) -> float:
        """Seconds from the beginning of one publication of ``size`` bytes to that of the next."""
        publications, total = await self._state.published_figures()
        share = (size + _EACH) / max(total + _EACH * publications, 1)
        return max(_LEAST, period * _SLACK * min(1.0, share))

    async def _next(self, inspector: Inspector, mender: Mender) -> int | None:
        """Look into one; its bytes, or None where there is none to look into, or the store refuses."""
        stalest = await self._state.stalest(len(self._refused) + 1)
        queued = next((each for each in stalest if each.id not in self._refused), None)
        if queued is None:
            self._refused.clear()
            return None
        try:
            return await self._one(queued, inspector, mender)
        except (StoreError, NoSpace) as error:
            log.warning("scrub.failed", dest=queued.transfer.dest, error=str(error), hint=error.hint)
        if len(self._refused) < _REFUSED:
            self._refused.add(queued.id)
        return None

    async def _one(self, queued: QueuedTransfer, inspector: Inspector, mender: Mender) -> int:
        (inspection,) = await inspector.inspect(expected_of(queued))
        if not await unmoved(queued, self._state):
            return 0
        if inspection.foreign:
            self._emit(Foreign(dest=inspection.dest, names=inspection.foreign[:_TOLD]))
        found, whole = mender.damaged, mender.whole
        if inspection.harmed:
            self._emit(damaged_event(queued, inspection))
            await mender.mend(queued, inspection)
        # Also where only the state is wrong, or it would be the next one again.
        await self._state.verified((queued.id,), self._clock.now())
        counts = {
            "scrub.publications": 1,
            "scrub.bytes": inspection.size,
            "damage.found": mender.damaged - found,
            "damage.mended": mender.whole - whole,
        }
        with suppress(NoSpace):
            await self._state.count({name: count for name, count in counts.items() if count})
        return inspection.size

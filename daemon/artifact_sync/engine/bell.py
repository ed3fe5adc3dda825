"""A way to wake a sleeper early."""

from __future__ import annotations

import anyio

from artifact_sync.ports import Clock

__all__ = ["Bell", "rung"]


class Bell:
    """Sleepers wait for a time, or until it is rung.

    Who looks for work takes ``next_ring`` first and waits for that one: what rings while it looks is not missed.
    """

    def __init__(self) -> None:
        self._rung = anyio.Event()

    @property
    def next_ring(self) -> anyio.Event:
        """Set when it is rung for the next time."""
        return self._rung

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._rung.set()
        self._rung = anyio.Event()


async def rung(ring: anyio.Event, seconds: float, clock: Clock) -> None:
    """Return when this ring comes, or has come; after ``seconds`` at the latest."""

    async def sleep() -> None:
        await clock.sleep(max(0.0, seconds))
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(sleep)
        await ring.wait()
        group.cancel_scope.cancel()

"""A way to wake a sleeper early."""

from __future__ import annotations

import anyio

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


async def rung(ring: anyio.Event, seconds: float) -> None:
    """Return when this ring comes, or has come; after ``seconds`` at the latest."""
    with anyio.move_on_after(max(0.0, seconds)):
        await ring.wait()

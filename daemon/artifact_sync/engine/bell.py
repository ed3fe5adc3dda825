"""A way to wake a sleeper early."""

from __future__ import annotations

import anyio

__all__ = ["Bell"]


class Bell:
    """Sleepers wait for a time, or until it is rung."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._rung.set()
        self._rung = anyio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when it is rung, after ``seconds`` at the latest."""
        with anyio.move_on_after(max(0.0, seconds)):
            await self._rung.wait()

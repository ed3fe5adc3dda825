"""Time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Time, so that tests can drive it. ``now`` is the server's time once it is known (``Date`` header, median skew)."""

    def now(self) -> datetime:
        """The current time in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""


# --- GitLab -----------------------------------------------------------------------------------------------------------

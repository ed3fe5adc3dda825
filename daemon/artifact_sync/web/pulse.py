"""Whether discovery goes on, by what it tells and by what it has written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from artifact_sync.core.events import Discovered, Event, ProjectFailed, ProjectFound
from artifact_sync.ports import Clock
from artifact_sync.ports.catalogue import Catalogue

__all__ = ["Pulse"]


class Pulse:
    """Hears events. A poll that fails is a sign of life too: who serves is most wanted while GitLab is away."""

    def __init__(self, *, within: timedelta, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``within``: the longest silence, also after the start."""
        self._within = within
        self._monotonic = monotonic
        self._heard_at = monotonic()

    def renew(self, within: timedelta) -> None:
        """Another longest silence, which begins now."""
        self._within = within
        self._heard_at = self._monotonic()

    def hear(self, event: Event) -> None:
        """Something happened."""
        if isinstance(event, Discovered | ProjectFailed | ProjectFound):
            self._heard_at = self._monotonic()

    async def beats(self, catalogue: Catalogue, clock: Clock) -> bool:
        """Whether anything was heard of it lately, or polled. Raises StateError."""
        if self._monotonic() - self._heard_at < self._within.total_seconds():
            return True
        polled = await catalogue.polled_at()
        return polled is not None and clock.now() - polled < self._within

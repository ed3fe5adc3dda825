"""Which webhooks have come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

__all__ = ["Deliveries"]


class Deliveries(Protocol):
    """Remembers webhooks by a key of 16 bytes each, and when they came."""

    async def seen(self, *, since: datetime, most: int) -> Mapping[bytes, datetime]:
        """The newest that came since then, the oldest of them first. Raises StateError."""

    async def remember(self, seen: Mapping[bytes, datetime], *, forget: datetime, most: int) -> None:
        """Add these, and forget what came before ``forget`` and all but the newest ``most``. Raises StateError, NoSpace."""

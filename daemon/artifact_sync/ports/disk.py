"""The disk that the store lies on, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Disk", "Space"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Bytes of a filesystem."""

    #: Free to this user.
    free: int
    #: In use, by whatever.
    used: int
    size: int


class Disk(Protocol):
    """Where they are read."""

    async def space(self) -> Space:
        """As it is now. Raises StoreError."""

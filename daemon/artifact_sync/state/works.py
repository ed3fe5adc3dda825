"""What the parts of a state are made over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar

__all__ = ["Works"]

T = TypeVar("T")


class Works(Protocol):
    """A state that works in the database's thread."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in the database's thread."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a write in the database's thread; durable when it returns."""

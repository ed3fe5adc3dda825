"""Which webhooks have come, in the state's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = ["SqliteDeliveries"]

T = TypeVar("T")

_DELIVERIES = named("deliveries")


class _Works(Protocol):
    """A state that works in the database's thread."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a write."""


class SqliteDeliveries:
    """Implements ``ports.Deliveries``."""

    def __init__(self, state: _Works) -> None:
        self._state = state

    async def seen(self, *, since: datetime, most: int) -> Mapping[bytes, datetime]:
        """As the port says."""
        return await self._state.read(partial(_seen, since=since, most=most))

    async def remember(self, seen: Mapping[bytes, datetime], *, forget: datetime, most: int) -> None:
        """As the port says."""
        await self._state.write(partial(_remember, seen=dict(seen), forget=forget, most=most))


def _seen(database: sqlite3.Connection, *, since: datetime, most: int) -> Mapping[bytes, datetime]:
    found = database.execute(_DELIVERIES["seen"], {"since": rows.micros(since), "most": most}).fetchall()
    return {row["id"]: rows.from_micros(int(row["received_at"])) for row in reversed(found)}


def _remember(database: sqlite3.Connection, *, seen: Mapping[bytes, datetime], forget: datetime, most: int) -> None:
    come = ({"id": key, "received_at": rows.micros(at)} for key, at in seen.items())
    database.executemany(_DELIVERIES["add"], come)
    database.execute(_DELIVERIES["forget"], {"before": rows.micros(forget)})
    database.execute(_DELIVERIES["forget_all_but"], {"most": most})

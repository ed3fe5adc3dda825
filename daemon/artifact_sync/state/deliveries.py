"""Which webhooks have come, in the state's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from artifact_sync.state import rows
from artifact_sync.state.queries import named
from artifact_sync.state.works import Works

__all__ = ["SqliteDeliveries"]

_DELIVERIES = named("deliveries")


class SqliteDeliveries:
    """Implements ``ports.deliveries.Deliveries``."""

    def __init__(self, state: Works) -> None:
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

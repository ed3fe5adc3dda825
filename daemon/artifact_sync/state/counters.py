"""What was counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from artifact_sync.state.queries import named

__all__ = ["add", "every"]

_COUNTERS = named("counters")


def add(database: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """To each its count."""
    database.executemany(_COUNTERS["add"], ({"name": name, "value": value} for name, value in counts.items()))


def every(database: sqlite3.Connection) -> dict[str, int]:
    """All of them, by name."""
    return {row["name"]: row["value"] for row in database.execute(_COUNTERS["all"])}

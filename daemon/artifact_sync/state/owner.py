"""Whose state it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from artifact_sync.state.queries import named

__all__ = ["recorded", "save"]

_OWNERS = named("owners")


def recorded(database: sqlite3.Connection) -> dict[str, str]:
    """Names by kind."""
    return {row["kind"]: row["name"] for row in database.execute(_OWNERS["all"])}


def save(database: sqlite3.Connection, owners: Mapping[str, str]) -> None:
    """Record them; others that are recorded stay."""
    for kind, name in owners.items():
        database.execute(_OWNERS["save"], {"kind": kind, "name": name})

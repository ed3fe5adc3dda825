"""What could not be looked at."""

from __future__ import annotations

import sqlite3

from artifact_sync.ports import Trouble
from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = ["clear", "first", "note"]

_TROUBLES = named("troubles")


def note(database: sqlite3.Connection, trouble: Trouble) -> None:
    """Record it; a subject that is in trouble already stays so since then."""
    database.execute(
        _TROUBLES["note"],
        {
            "subject": trouble.subject,
            "error": trouble.error,
            "hint": trouble.hint,
            "since": rows.micros(trouble.since),
        },
    )


def clear(database: sqlite3.Connection, subject: str | None) -> None:
    """Forget one subject's trouble, or all."""
    if subject is None:
        database.execute(_TROUBLES["clear_all"])
    else:
        database.execute(_TROUBLES["clear"], {"subject": subject})


def first(database: sqlite3.Connection, limit: int) -> tuple[Trouble, ...]:
    """The oldest."""
    return tuple(
        Trouble(subject=row["subject"], error=row["error"], hint=row["hint"], since=rows.from_micros(int(row["since"])))
        for row in database.execute(_TROUBLES["first"], {"limit": limit})
    )

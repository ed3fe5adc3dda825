"""Keeps that are due, and the ledger of those that were called."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import msgspec

from artifact_sync.core.deadlines import turn
from artifact_sync.core.model import KeepDue
from artifact_sync.ports import KeepEntry
from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = ["add", "count_due", "done", "due", "entries", "next_due", "released", "shift"]

_KEEPS = named("keeps")
_TRANSFERS = named("transfers")
_NEWEST = (1 << 63) - 1


def add(database: sqlite3.Connection, due: KeepDue) -> None:
    """A known one, settled or not, is left alone."""
    database.execute(
        _KEEPS["add_due"],
        {
            **_key(due),
            "project_path": due.project_path,
            "job_name": due.job_name,
            "ref": due.ref,
            "due_at": rows.micros(due.due_at),
            "expire_at": rows.micros(due.expire_at),
            "always": due.always,
            "attempts": due.attempts,
        },
    )


def due(database: sqlite3.Connection, now: datetime, limit: int) -> tuple[KeepDue, ...]:
    """Those whose time has come and whose job is not mirrored; the mirrored ones are forgotten."""
    database.execute(_KEEPS["forget_mirrored"], {"now": rows.micros(now)})
    return tuple(map(rows.keep_due, database.execute(_KEEPS["due"], {"now": rows.micros(now), "limit": limit})))


def next_due(database: sqlite3.Connection) -> datetime | None:
    """The soonest."""
    soonest: int | None = database.execute(_KEEPS["next_due"]).fetchone()[0]
    return rows.from_micros(soonest)


def count_due(database: sqlite3.Connection) -> int:
    """How many are not settled."""
    return int(database.execute(_KEEPS["count_due"]).fetchone()[0])


def done(
    database: sqlite3.Connection,
    due: KeepDue,
    entry: KeepEntry,
    *,
    again_at: datetime | None,
    expire_at: datetime | None,
    first: bool,
) -> None:
    """Ledger, the keep itself, and the deadline of what the job still has to bring."""
    _record(database, entry)
    if again_at is None:
        database.execute(_KEEPS["settle"], _key(due))
    else:
        times = {"due_at": rows.micros(again_at), "expire_at": rows.micros(expire_at)}
        database.execute(_KEEPS["again"], _key(due) | times)
    _set_deadline(database, due, expire_at, due_at=entry.at if first else turn(expire_at, entry.at, backfill=False))


def shift(
    database: sqlite3.Connection,
    project_id: int,
    *,
    ref: str | None,
    due_by: datetime,
    to: datetime,
    first: datetime | None,
) -> None:
    """Those of one project, or of one ref in it, to another time; downloads of their jobs take their place."""
    those = {"project_id": project_id, "ref": ref, "due_by": rows.micros(due_by)}
    if first is not None:
        database.execute(_KEEPS["download_first"], those | {"first": rows.micros(first)})
    database.execute(_KEEPS["shift"], those | {"to": rows.micros(to)})


def released(database: sqlite3.Connection, entry: KeepEntry) -> None:
    """Ledger, and every keep of the job."""
    _record(database, entry)
    database.execute(_KEEPS["settle_job"], {"project_id": entry.project_id, "job_id": entry.job_id})


def entries(database: sqlite3.Connection, *, before: int = _NEWEST, limit: int) -> list[tuple[int, KeepEntry]]:
    """A page of the ledger, newest first, with the ids by which the next one goes on."""
    found = database.execute(_KEEPS["entries_before"], {"before": before, "limit": limit})
    return [(row["id"], rows.keep_entry(row)) for row in found]


def _record(database: sqlite3.Connection, entry: KeepEntry) -> None:
    database.execute(
        _KEEPS["add_entry"],
        {
            "at": rows.micros(entry.at),
            "project_id": entry.project_id,
            "project_path": entry.project_path,
            "job_id": entry.job_id,
            "job_name": entry.job_name,
            "rule": entry.rule,
            "reason": entry.reason,
            "expire_at": rows.micros(entry.expire_at),
            "result": entry.result,
            "detail": entry.detail,
        },
    )


def _key(due: KeepDue) -> dict[str, object]:
    return {"project_id": due.project_id, "job_id": due.job_id, "rule": due.rule}


def _set_deadline(database: sqlite3.Connection, due: KeepDue, expire_at: datetime | None, *, due_at: datetime) -> None:
    job = {"project_id": due.project_id, "job_id": due.job_id}
    for row in database.execute(_TRANSFERS["open_of_job"], job).fetchall():
        transfer = msgspec.structs.replace(rows.transfer(row["transfer"]), deadline=expire_at)
        database.execute(
            _TRANSFERS["set_deadline"],
            {
                "id": row["id"],
                "transfer": rows.transfer_json(transfer),
                "deadline": rows.micros(expire_at),
                "due": rows.micros(due_at),
            },
        )

"""What is asked of transfers and their parts."""

from __future__ import annotations

import sqlite3

from artifact_sync.ports import PartRecord, QueuedTransfer, TransferState
from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = [
    "at_risk",
    "by_state",
    "failures",
    "find",
    "part_record",
    "published_bytes",
    "published_page",
    "resumable",
    "save_part",
    "unfinished",
]

_TRANSFERS = named("transfers")


def find(database: sqlite3.Connection, project_id: int, job_id: int) -> tuple[QueuedTransfer, ...]:
    """Of one job, oldest first."""
    return _all(database, "find", project_id=project_id, job_id=job_id)


def unfinished(database: sqlite3.Connection) -> tuple[QueuedTransfer, ...]:
    """In flight when the last run ended."""
    return _all(database, "unfinished")


def published_page(database: sqlite3.Connection, *, after: int, limit: int) -> tuple[QueuedTransfer, ...]:
    """Of all published ones, by id."""
    return _all(database, "published_after", after=after, limit=limit)


def resumable(database: sqlite3.Connection) -> frozenset[int]:
    """Ids of transfers with a remembered part."""
    return frozenset(int(row[0]) for row in database.execute(_TRANSFERS["resumable"]))


def at_risk(database: sqlite3.Connection, limit: int) -> tuple[QueuedTransfer, ...]:
    """Not mirrored and with a deadline, soonest first."""
    return _all(database, "at_risk", limit=limit)


def failures(database: sqlite3.Connection, limit: int) -> tuple[QueuedTransfer, ...]:
    """Whose last attempt failed, newest failure first."""
    return _all(database, "failures", limit=limit)


def by_state(database: sqlite3.Connection) -> dict[TransferState, int]:
    """Every state, also those that nothing is in."""
    counts = dict.fromkeys(TransferState, 0)
    return counts | {TransferState(state): count for state, count in database.execute(_TRANSFERS["count_by_state"])}


def published_bytes(database: sqlite3.Connection) -> int:
    """Of all publications."""
    return int(database.execute(_TRANSFERS["published_bytes"]).fetchone()[0])


def part_record(database: sqlite3.Connection, transfer_id: int, item: str) -> PartRecord | None:
    """Of one part."""
    row = database.execute(_TRANSFERS["part_record"], {"transfer_id": transfer_id, "item": item}).fetchone()
    return rows.part_record(row) if row else None


def save_part(database: sqlite3.Connection, record: PartRecord) -> None:
    """Insert or replace."""
    parameters = {
        "transfer_id": record.transfer_id,
        "item": record.item,
        "size": record.size,
        "etag": record.etag,
        "total": record.total,
    }
    database.execute(_TRANSFERS["save_part"], parameters)


def _all(database: sqlite3.Connection, query: str, **parameters: int) -> tuple[QueuedTransfer, ...]:
    return tuple(map(rows.queued, database.execute(_TRANSFERS[query], parameters)))

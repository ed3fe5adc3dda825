"""What is known of the publications' health, and the steps of one that is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from artifact_sync.core.selection import owed
from artifact_sync.ports import Published, QueuedTransfer, TransferState
from artifact_sync.state import rows
from artifact_sync.state.names import folded
from artifact_sync.state.queries import named

__all__ = [
    "at",
    "claim_lost",
    "damaged",
    "holding_page",
    "last_verified",
    "mended",
    "mirrored_page",
    "newest_page",
    "next_lost_attempt",
    "oldest_verified",
    "open_lost",
    "published_figures",
    "stalest",
    "verified",
]

_VERIFICATION = named("verification")
_QUEUE = named("queue")

_LAST = 2**63 - 1

#: Where a listing begins that goes down.
Place = tuple[int, int]


def mirrored_page(database: sqlite3.Connection, *, after: int, limit: int) -> tuple[QueuedTransfer, ...]:
    """Of which something was published, and that nobody fetches just now, by id."""
    return _all(database, "mirrored_after", after=after, limit=limit)


def newest_page(
    database: sqlite3.Connection, *, before: Place | None, limit: int
) -> tuple[tuple[QueuedTransfer, ...], Place | None]:
    """Published ones, the newest job end first, and where the next page begins."""
    ended, below = before or (_LAST, 0)
    found = database.execute(
        _VERIFICATION["newest_before"], {"ended": ended, "before": below, "limit": limit}
    ).fetchall()
    following = (int(found[-1]["ended_at"]), int(found[-1]["id"])) if found else None
    return tuple(map(rows.queued, found)), following


def at(database: sqlite3.Connection, dest: str) -> QueuedTransfer | None:
    """The transfer to a destination."""
    row = database.execute(_VERIFICATION["at"], {"dest": dest, "dest_folded": folded(dest)}).fetchone()
    return rows.queued(row) if row else None


def stalest(database: sqlite3.Connection, limit: int) -> tuple[QueuedTransfer, ...]:
    """Published ones, those that nobody verified for longest first."""
    return _all(database, "stalest", limit=limit)


def oldest_verified(database: sqlite3.Connection) -> datetime | None:
    """When the first of them was verified or published."""
    row = database.execute(_VERIFICATION["oldest"]).fetchone()
    return rows.from_micros(row["at"]) if row else None


def last_verified(database: sqlite3.Connection) -> datetime | None:
    """When any was last verified in the store."""
    latest: int | None = database.execute(_VERIFICATION["latest"]).fetchone()["at"]
    return rows.from_micros(latest)


def published_figures(database: sqlite3.Connection) -> tuple[int, int]:
    """How many, and their bytes."""
    publications, size = database.execute(_VERIFICATION["figures"]).fetchone()
    return int(publications), int(size)


def holding_page(database: sqlite3.Connection, sha256: str, *, after: int, limit: int) -> tuple[QueuedTransfer, ...]:
    """Published ones with a file of that hash, by id."""
    return _all(database, "holding_after", sha256=sha256, after=after, limit=limit)


def verified(database: sqlite3.Connection, ids: Sequence[int], when: datetime) -> None:
    """Every byte of these was as it must be."""
    database.executemany(_VERIFICATION["verified"], ({"id": each, "at": rows.micros(when)} for each in ids))


def damaged(database: sqlite3.Connection, transfer_id: int) -> bool:
    """Wanted again, if it stands in the store and nobody fetches it."""
    return database.execute(_VERIFICATION["damaged"], {"id": transfer_id}).rowcount > 0


def mended(database: sqlite3.Connection, transfer_id: int, published: Published, when: datetime) -> bool:
    """Whole again, if nobody fetches it by now; still wanted, where it has to gain something."""
    row = database.execute(_VERIFICATION["standing"], {"id": transfer_id}).fetchone()
    if row is None:
        return False
    queued = rows.queued(row)
    complete = queued.state is TransferState.PUBLISHED or not owed(queued.transfer.items, queued.files)
    parameters = {
        "id": transfer_id,
        "state": TransferState.PUBLISHED if complete else TransferState.WANTED,
        "size": published.size,
        "manifest_sha256": published.manifest_sha256,
        "at": rows.micros(when),
    }
    database.execute(_VERIFICATION["mended"], parameters)
    return True


def claim_lost(database: sqlite3.Connection, now: datetime) -> QueuedTransfer | None:
    """P0 of one that was lost."""
    found = database.execute(_VERIFICATION["next_lost"], {"now": rows.micros(now)}).fetchone()
    return None if found is None else rows.queued(database.execute(_QUEUE["take"], {"id": found["id"]}).fetchone())


def open_lost(database: sqlite3.Connection) -> int:
    """Lost, and not at an end."""
    return int(database.execute(_VERIFICATION["open_lost"]).fetchone()[0])


def next_lost_attempt(database: sqlite3.Connection, now: datetime) -> datetime | None:
    """Never before ``now``."""
    row = database.execute(_VERIFICATION["next_lost_attempt"]).fetchone()
    return None if row is None else max(now, rows.from_micros(row["next_attempt_at"]) or now)


def _all(database: sqlite3.Connection, query: str, **parameters: int | str) -> tuple[QueuedTransfer, ...]:
    return tuple(map(rows.queued, database.execute(_VERIFICATION[query], parameters)))

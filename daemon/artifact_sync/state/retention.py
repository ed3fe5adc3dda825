"""What retention took, what it must not take, and what is asked of it."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

import msgspec

from artifact_sync.errors import StateError
from artifact_sync.ports import PinnedJob, PruneOrder, PruneReport, QueuedTransfer, RetentionLook
from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = [
    "answer",
    "answer_of",
    "emptied",
    "half_pruned",
    "look",
    "next_order",
    "note_look",
    "objects_page",
    "order",
    "pin",
    "pins",
    "pruned",
    "pruning",
    "restored",
    "restoring",
    "trash_figures",
    "trash_page",
    "unpin",
    "withdraw",
]

_RETENTION = named("retention")
#: Nobody waits for an answer to an order any longer than this; and when it is forgotten.
_WAITED_FOR = timedelta(hours=1)
_FORGOTTEN = timedelta(days=1)


class _Object(msgspec.Struct, frozen=True):
    """What names a file's object; the rest of it is not looked at."""

    sha256: str
    executable: bool = False

    @property
    def name(self) -> str:
        return f"{self.sha256}x" if self.executable else self.sha256


def pruning(database: sqlite3.Connection, transfer_id: int, *, why: str, trash: str, at: datetime) -> bool:
    """Whether it was published."""
    parameters = {"id": transfer_id, "why": why, "trash": trash, "at": rows.micros(at)}
    return database.execute(_RETENTION["pruning"], parameters).rowcount == 1


def pruned(database: sqlite3.Connection, transfer_id: int) -> None:
    """Moved away."""
    _step(database, "pruned", transfer_id)


def restoring(database: sqlite3.Connection, transfer_id: int) -> bool:
    """Whether it is in the trash."""
    return database.execute(_RETENTION["restoring"], {"id": transfer_id}).rowcount == 1


def restored(database: sqlite3.Connection, transfer_id: int) -> None:
    """Moved back."""
    _step(database, "restored", transfer_id)


def half_pruned(database: sqlite3.Connection) -> tuple[QueuedTransfer, ...]:
    """In between."""
    return tuple(map(rows.queued, database.execute(_RETENTION["half_pruned"])))


def trash_page(
    database: sqlite3.Connection, *, after: tuple[datetime, int] | None, limit: int
) -> tuple[QueuedTransfer, ...]:
    """What is in the trash, by the time it came there."""
    at, number = (rows.micros(after[0]), after[1]) if after is not None else (-(1 << 62), 0)
    found = database.execute(_RETENTION["in_trash"], {"at": at, "after": number, "limit": limit})
    return tuple(map(rows.queued, found))


def emptied(database: sqlite3.Connection, trash: str) -> None:
    """Gone for good."""
    database.execute(_RETENTION["emptied"], {"trash": trash})


def trash_figures(database: sqlite3.Connection) -> tuple[int, int]:
    """(publications in the trash, their bytes)."""
    count, size = database.execute(_RETENTION["trash_figures"]).fetchone()
    return int(count), int(size)


def objects_page(database: sqlite3.Connection, *, after: int, limit: int) -> tuple[frozenset[str], int | None]:
    """(names of the objects of so many transfers, the id to go on behind); None: there are no more."""
    names: set[str] = set()
    last: int | None = None
    for row in database.execute(_RETENTION["objects_after"], {"after": after, "limit": limit}):
        last = row["id"]
        for files in (row["staged_files"], row["published_files"]):
            names.update(file.name for file in rows.decoded(files, tuple[_Object, ...]))
    return frozenset(names), last


def pin(database: sqlite3.Connection, pinned: PinnedJob) -> None:
    """Insert or replace."""
    database.execute(
        _RETENTION["pin"],
        {
            "project_id": pinned.project_id,
            "project_path": pinned.project_path,
            "job_id": pinned.job_id,
            "at": rows.micros(pinned.at),
            "reason": pinned.reason,
        },
    )


def unpin(database: sqlite3.Connection, project_id: int, job_id: int) -> bool:
    """Whether there was one."""
    return database.execute(_RETENTION["unpin"], {"project_id": project_id, "job_id": job_id}).rowcount == 1


def pins(database: sqlite3.Connection) -> tuple[PinnedJob, ...]:
    """Newest first."""
    return tuple(
        PinnedJob(
            project_id=row["project_id"],
            project_path=row["project_path"],
            job_id=row["job_id"],
            at=rows.from_micros(int(row["at"])),
            reason=row["reason"],
        )
        for row in database.execute(_RETENTION["pins"])
    )


def note_look(database: sqlite3.Connection, look: RetentionLook) -> None:
    """The only one."""
    database.execute(
        _RETENTION["note_look"],
        {
            "at": rows.micros(look.at),
            "publications": look.publications,
            "orphans": look.orphans,
            "orphan_bytes": look.orphan_bytes,
            "removable": look.removable,
            "removable_bytes": look.removable_bytes,
        },
    )


def look(database: sqlite3.Connection) -> RetentionLook | None:
    """The last one."""
    row = database.execute(_RETENTION["look"]).fetchone()
    if row is None:
        return None
    return RetentionLook(
        at=rows.from_micros(int(row["at"])),
        publications=row["publications"],
        orphans=row["orphans"],
        orphan_bytes=row["orphan_bytes"],
        removable=row["removable"],
        removable_bytes=row["removable_bytes"],
    )


def order(database: sqlite3.Connection, wanted: PruneOrder, now: datetime) -> int:
    """Its number."""
    database.execute(_RETENTION["forget_orders"], {"before": rows.micros(now - _FORGOTTEN)})
    parameters = {"at": rows.micros(now), "wanted": msgspec.json.encode(wanted).decode()}
    return int(database.execute(_RETENTION["order"], parameters).fetchone()[0])


def next_order(database: sqlite3.Connection, now: datetime) -> tuple[int, PruneOrder] | None:
    """The oldest that somebody waits for."""
    row = database.execute(_RETENTION["next_order"], {"since": rows.micros(now - _WAITED_FOR)}).fetchone()
    return None if row is None else (row["id"], rows.decoded(row["wanted"], PruneOrder))


def withdraw(database: sqlite3.Connection, number: int) -> bool:
    """Whether it still waited."""
    return database.execute(_RETENTION["withdraw"], {"id": number}).rowcount == 1


def answer(database: sqlite3.Connection, number: int, report: PruneReport) -> None:
    """Written beside the order."""
    database.execute(_RETENTION["answer"], {"id": number, "answer": msgspec.json.encode(report).decode()})


def answer_of(database: sqlite3.Connection, number: int) -> PruneReport | None:
    """If there is one."""
    row = database.execute(_RETENTION["answer_of"], {"id": number}).fetchone()
    return None if row is None or row["answer"] is None else rows.decoded(row["answer"], PruneReport)


def _step(database: sqlite3.Connection, query: str, transfer_id: int) -> None:
    if database.execute(_RETENTION[query], {"id": transfer_id}).rowcount != 1:
        raise StateError(
            f"transfer {transfer_id} cannot be {query}: it is not on its way",
            hint="This is an error in artifact-sync: please report it.",
        )

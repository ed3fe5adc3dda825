"""The steps of a transfer through the queue. A step that does not follow from where it stands is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from artifact_sync.core.after import HookKind
from artifact_sync.core.deadlines import PRESSING
from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Outcome, StateError
from artifact_sync.ports import Published, QueuedTransfer, TransferState
from artifact_sync.state import hooks, rows
from artifact_sync.state.queries import named

__all__ = ["claim", "fail", "hasten", "lost", "next_attempt", "open_count", "publish", "release", "revive", "stage"]

_QUEUE = named("queue")
_TRANSFERS = named("transfers")

_WANTED, _DOWNLOADING, _STAGED = TransferState.WANTED, TransferState.DOWNLOADING, TransferState.STAGED
_PUBLISHED, _FAILED = TransferState.PUBLISHED, TransferState.FAILED


def claim(database: sqlite3.Connection, now: datetime, *, after: int = -1) -> QueuedTransfer | None:
    """P0. What presses goes first, soonest first; of the rest each project has its turn, that behind ``after`` next."""
    moment = {"now": rows.micros(now)}
    found = database.execute(_QUEUE["pressing"], moment | {"pressing": rows.micros(now + PRESSING)}).fetchone()
    if found is None:
        kind = database.execute(_QUEUE["class_of_next"], moment).fetchone()
        if kind is None:
            return None
        for project_id in (after, -1):
            found = database.execute(_QUEUE["next_turn"], moment | dict(kind) | {"after": project_id}).fetchone()
            if found is not None:
                break
    return None if found is None else rows.queued(database.execute(_QUEUE["take"], {"id": found["id"]}).fetchone())


def stage(database: sqlite3.Connection, transfer_id: int, files: Sequence[StagedFile]) -> None:
    """P5."""
    _require(database, transfer_id, "staged", _DOWNLOADING, _STAGED)
    database.execute(_QUEUE["stage"], {"id": transfer_id, "files": rows.files_json(files)})
    database.execute(_TRANSFERS["forget_parts"], {"transfer_id": transfer_id})


def publish(
    database: sqlite3.Connection,
    transfer_id: int,
    published: Published,
    at: datetime,
    after: Mapping[str, Sequence[HookKind]] = MappingProxyType({}),
) -> None:
    """P7, and what the rules want ``after`` it. What an earlier publication of the same transfer brought still stands there."""
    _require(database, transfer_id, "published", _STAGED)
    row = database.execute(_QUEUE["files_of"], {"id": transfer_id}).fetchone()
    every = (*rows.staged_files(row["published_files"]), *rows.staged_files(row["staged_files"]))
    database.execute(
        _QUEUE["publish"],
        {
            "id": transfer_id,
            "files": rows.files_json({file.name: file for file in every}.values()),
            "at": rows.micros(at),
            "size": published.size,
            "manifest_sha256": published.manifest_sha256,
        },
    )
    # What took up items is published again in a moment, with them.
    if after and not row["gained"]:
        hooks.hasten(database, transfer_id, at)
        before = {(file.name, file.sha256) for file in rows.staged_files(row["published_files"])}
        restored = row["lost"] and before >= {(file.name, file.sha256) for file in every}
        if not restored:
            # As the rules are now: one may have joined since it was claimed.
            wanted = [(rule, after[rule]) for rule in rows.transfer(row["transfer"]).rules if rule in after]
            hooks.add(database, transfer_id, wanted, manifest_sha256=published.manifest_sha256, at=at)


def release(database: sqlite3.Connection, transfer_id: int) -> None:
    """Back, as if it had not been claimed."""
    if _require(database, transfer_id, "released", _WANTED, _DOWNLOADING, _STAGED) is not _WANTED:
        database.execute(_QUEUE["release"], {"id": transfer_id})


def fail(
    database: sqlite3.Connection, transfer_id: int, outcome: Outcome, error: str, retry_at: datetime | None
) -> None:
    """An attempt is counted here, where it is known to have failed: a stop or a crash is nobody's fault."""
    _require(database, transfer_id, "failed", _WANTED, _DOWNLOADING, _STAGED, _FAILED)
    database.execute(
        _QUEUE["fail"],
        {"id": transfer_id, "outcome": outcome, "error": error, "retry_at": rows.micros(retry_at)},
    )


def revive(database: sqlite3.Connection) -> int:
    """What may succeed in a later pass is wanted again."""
    return database.execute(_QUEUE["revive"]).rowcount


def hasten(database: sqlite3.Connection) -> None:
    """What waits for its next attempt is due."""
    database.execute(_QUEUE["hasten"])


def lost(database: sqlite3.Connection, transfer_id: int) -> None:
    """Wanted again."""
    _require(database, transfer_id, "lost", _PUBLISHED)
    database.execute(_QUEUE["lost"], {"id": transfer_id})


def open_count(database: sqlite3.Connection) -> int:
    """Not at an end."""
    return int(database.execute(_QUEUE["open_count"]).fetchone()[0])


def next_attempt(database: sqlite3.Connection, now: datetime) -> datetime | None:
    """Never before ``now``."""
    row = database.execute(_QUEUE["next_attempt"]).fetchone()
    return None if row is None else max(now, rows.from_micros(row["next_attempt_at"]) or now)


def _require(database: sqlite3.Connection, transfer_id: int, what: str, *allowed: TransferState) -> TransferState:
    row = database.execute(_QUEUE["state_of"], {"id": transfer_id}).fetchone()
    state = TransferState(row["state"]) if row else None
    if state not in allowed or state is None:
        raise StateError(
            f"transfer {transfer_id} cannot be {what}: it is {state or 'not there'}",
            hint="This is an error in artifact-sync: please report it.",
        )
    return state

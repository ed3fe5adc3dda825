"""Values to columns and back.

What reads a row raises ValueError for a value that cannot be, of which the database's thread makes a StateError.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar, overload

import msgspec

from artifact_sync.core.model import KeepDue, KeepResult, StagedFile, Transfer
from artifact_sync.errors import Outcome, StateError
from artifact_sync.ports import (
    KeepEntry,
    PartRecord,
    Progress,
    Pruned,
    QueuedTransfer,
    TransferState,
    WatchedPipeline,
)
from artifact_sync.state.names import folded
from artifact_sync.state.seal import sealed, unsealed

__all__ = [
    "decoded",
    "files_json",
    "from_micros",
    "keep_due",
    "keep_entry",
    "micros",
    "part_record",
    "progress",
    "queued",
    "require_other",
    "staged_files",
    "state",
    "transfer",
    "transfer_columns",
    "transfer_json",
    "watched",
]

T = TypeVar("T")

_REBUILD = (
    "`artifact-sync rebuild-state` makes a new one from the manifests in the store, and keeps this one beside it."
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


@overload
def micros(at: datetime) -> int: ...
@overload
def micros(at: datetime | None) -> int | None: ...
def micros(at: datetime | None) -> int | None:
    """Whole microseconds since 1970 in UTC; exact, unlike a float."""
    return None if at is None else (at - _EPOCH) // _MICRO


@overload
def from_micros(value: int) -> datetime: ...
@overload
def from_micros(value: int | None) -> datetime | None: ...
def from_micros(value: int | None) -> datetime | None:
    """The time again, in UTC. Raises ValueError for one that is not in the calendar."""
    try:
        return None if value is None else _EPOCH + value * _MICRO
    except OverflowError as error:
        raise ValueError(f"{value} microseconds since 1970") from error


def transfer_json(value: Transfer) -> str:
    """As kept in the ``transfer`` column."""
    return sealed(msgspec.json.encode(value).decode())


def files_json(files: Iterable[StagedFile]) -> str:
    """As kept in the ``*_files`` columns."""
    return sealed(msgspec.json.encode(list(files)).decode())


def looked_at_json(looked_at: Iterable[tuple[int, datetime]]) -> str:
    """As kept in the column of that name."""
    return sealed(msgspec.json.encode(list(looked_at)).decode())


def transfer(text: str) -> Transfer:
    """Raises StateError when it was changed by hand or damaged."""
    return decoded(text, Transfer)


def staged_files(text: str) -> tuple[StagedFile, ...]:
    """Raises StateError when it was changed by hand or damaged."""
    return decoded(text, tuple[StagedFile, ...])


def decoded(text: str, kind: type[T]) -> T:
    """JSON of one column. Raises StateError when it was changed by hand or damaged."""
    bare = unsealed(text)
    if bare is None:
        raise StateError("the state database holds a text whose checksum is another", hint=_REBUILD)
    try:
        return msgspec.json.decode(bare, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StateError(f"the state database holds something that cannot be read: {error}", hint=_REBUILD) from error


def require_other(known: Transfer, new: Transfer) -> None:
    """Raise StateError where they are the same, though it was not found by what it is: an index is not its table's."""
    if (known.project_id, known.job.id, known.dest) == (new.project_id, new.job.id, new.dest):
        raise _contradiction(known)


def _contradiction(value: Transfer) -> StateError:
    # SQLite has no checksums of pages: a flipped bit can pass all of its own checks.
    return StateError(
        f"the state database contradicts itself about job {value.job.id} at {value.dest}",
        hint=_REBUILD,
    )


def transfer_columns(value: Transfer) -> dict[str, str | int | None]:
    """What a new row of ``transfer`` says of the transfer itself. Where it stands in the queue is not of it."""
    job = value.job
    return {
        "project_id": value.project_id,
        "job_id": job.id,
        "dest": value.dest,
        "dest_folded": folded(value.dest),
        "transfer": transfer_json(value),
        "pipeline_id": job.pipeline.id if job.pipeline else None,
        "ref": job.ref,
        "ended_at": micros(job.ended_at) or 0,
        "deadline": micros(value.deadline),
        "priority": value.priority,
        "backfill": value.backfill,
    }


def state(row: sqlite3.Row) -> TransferState:
    """Of a row of ``transfer``."""
    stored = TransferState(row["state"])
    return TransferState.LOST if stored is TransferState.WANTED and row["lost"] else stored


def queued(row: sqlite3.Row) -> QueuedTransfer:
    """A row of ``transfer``."""
    standing = state(row)
    staged = standing is TransferState.STAGED
    value = transfer(row["transfer"])
    if (value.project_id, value.job.id, value.dest) != (row["project_id"], row["job_id"], row["dest"]):
        raise _contradiction(value)
    return QueuedTransfer(
        id=row["id"],
        transfer=value,
        state=standing,
        attempts=row["attempts"],
        next_attempt_at=from_micros(row["next_attempt_at"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error=row["error"],
        files=staged_files(row["staged_files"] if staged else row["published_files"]),
        published_at=from_micros(row["published_at"]),
        manifest_sha256=row["manifest_sha256"] or "",
        verified_at=from_micros(row["verified_at"]),
        pruned=_pruned(row) if standing in {TransferState.PRUNING, TransferState.PRUNED} else None,
    )


def _pruned(row: sqlite3.Row) -> Pruned:
    return Pruned(
        at=from_micros(int(row["pruned_at"])),
        why=row["pruned_why"],
        trash=row["trash"],
        restoring=bool(row["restoring"]),
    )


def progress(row: sqlite3.Row) -> Progress:
    """A row of ``project``."""
    return Progress(
        project_id=row["id"],
        path=row["path"],
        newest_job_id=row["newest_job_id"],
        backfill_next=row["backfill_next"],
        backfill_done=bool(row["backfill_done"]),
        horizon=from_micros(row["horizon"]),
        newest_pipeline_id=row["newest_pipeline_id"],
        moved_to=from_micros(row["moved_to"]),
        children_moved_to=from_micros(row["children_moved_to"]),
        children_at=from_micros(row["children_at"]),
        children=bool(row["children"]),
        looked_at=tuple(decoded(row["looked_at"], list[tuple[int, datetime]])),
        children_looked_at=tuple(decoded(row["children_looked_at"], list[tuple[int, datetime]])),
        rules=row["rules"],
        polled_at=from_micros(row["polled_at"]),
    )


def watched(row: sqlite3.Row) -> WatchedPipeline:
    """A row of ``watched_pipeline``."""
    return WatchedPipeline(
        project_id=row["project_id"],
        pipeline_id=row["pipeline_id"],
        look_at=from_micros(int(row["look_at"])),
        looks=row["looks"],
        seen=row["seen"],
        runs_in=row["runs_in"],
    )


def part_record(row: sqlite3.Row) -> PartRecord:
    """A row of ``part``."""
    return PartRecord(
        transfer_id=row["transfer_id"], item=row["item"], size=row["size"], etag=row["etag"], total=row["total"]
    )


def keep_due(row: sqlite3.Row) -> KeepDue:
    """A row of ``keep_due``."""
    return KeepDue(
        project_id=row["project_id"],
        project_path=row["project_path"],
        job_id=row["job_id"],
        job_name=row["job_name"],
        rule=row["rule"],
        due_at=from_micros(int(row["due_at"])),
        expire_at=from_micros(int(row["expire_at"])),
        always=bool(row["always"]),
        attempts=row["attempts"],
        ref=row["ref"],
    )


def keep_entry(row: sqlite3.Row) -> KeepEntry:
    """A row of ``keep_entry``."""
    return KeepEntry(
        at=from_micros(int(row["at"])),
        project_id=row["project_id"],
        project_path=row["project_path"],
        job_id=row["job_id"],
        job_name=row["job_name"],
        rule=row["rule"],
        reason=row["reason"],
        expire_at=from_micros(row["expire_at"]),
        result=KeepResult(row["result"]),
        detail=row["detail"],
    )

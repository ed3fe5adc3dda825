"""What is to run after publications, and what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from artifact_sync.core.after import HookKind
from artifact_sync.errors import StateError
from artifact_sync.ports import DroppedHooks, DueHook, HookFigures, HookState, QueuedHook
from artifact_sync.state import rows
from artifact_sync.state.queries import named

__all__ = [
    "add",
    "again",
    "always_kept_by",
    "by_state",
    "drop",
    "ended",
    "figures",
    "hasten",
    "hook",
    "next_hooks",
    "of_job",
    "retry",
]

_HOOKS = named("hooks")


def add(
    database: sqlite3.Connection,
    transfer_id: int,
    wanted: Iterable[tuple[str, Sequence[HookKind]]],
    *,
    manifest_sha256: str,
    at: datetime,
) -> None:
    """Those of each rule, for a publication of this moment."""
    for rule, kinds in wanted:
        for kind in kinds:
            parameters = {"transfer_id": transfer_id, "rule": rule, "kind": kind, "manifest_sha256": manifest_sha256}
            database.execute(_HOOKS["add"], parameters | {"at": rows.micros(at)})


def hasten(database: sqlite3.Connection, transfer_id: int, at: datetime) -> None:
    """Deletions of the job's artifacts look again whether nothing else of it is wanted."""
    parameters = {"transfer_id": transfer_id, "kind": HookKind.DELETE_REMOTE, "at": rows.micros(at)}
    database.execute(_HOOKS["hasten"], parameters)


def next_hooks(
    database: sqlite3.Connection, wanted: Collection[tuple[str, HookKind]], limit: int
) -> tuple[DueHook, ...]:
    """Of those in order the oldest of each, and the deletions that come first by time."""
    found: list[sqlite3.Row] = []
    for rule, kind in wanted:
        if kind is not HookKind.DELETE_REMOTE:
            found += database.execute(_HOOKS["oldest"], {"rule": rule, "kind": kind})
    deleting = {rule for rule, kind in wanted if kind is HookKind.DELETE_REMOTE}
    if deleting:
        soonest = database.execute(_HOOKS["soonest"], {"kind": HookKind.DELETE_REMOTE, "limit": limit})
        found += [row for row in soonest if row["rule"] in deleting]
    return tuple(
        DueHook(id=row["id"], rule=row["rule"], kind=HookKind(row["kind"]), due_at=rows.from_micros(int(row["due_at"])))
        for row in sorted(found, key=lambda row: int(row["id"]))
    )


def hook(database: sqlite3.Connection, hook_id: int) -> QueuedHook | None:
    """One of them."""
    row = database.execute(_HOOKS["one"], {"id": hook_id}).fetchone()
    return None if row is None else _hook(database, row)


def ended(
    database: sqlite3.Connection, hook_id: int, state: HookState, *, detail: str, hint: str, at: datetime
) -> None:
    """For good, unless a person asks for it again."""
    parameters = {"id": hook_id, "state": state, "detail": detail, "hint": hint, "at": rows.micros(at)}
    database.execute(_HOOKS["ended"], parameters)


def again(
    database: sqlite3.Connection, hook_id: int, *, detail: str, hint: str, due_at: datetime, counted: bool
) -> None:
    """Later."""
    parameters = {"id": hook_id, "detail": detail, "hint": hint, "due_at": rows.micros(due_at), "counted": counted}
    database.execute(_HOOKS["again"], parameters)


def drop(
    database: sqlite3.Connection, wanted: Collection[tuple[str, HookKind]], *, detail: str, at: datetime
) -> tuple[DroppedHooks, ...]:
    """What waits for no rule any more."""
    dropped: list[DroppedHooks] = []
    for row in database.execute(_HOOKS["waiting_kinds"]).fetchall():
        rule, kind = row["rule"], HookKind(row["kind"])
        if (rule, kind) not in wanted:
            parameters = {"rule": rule, "kind": kind, "detail": detail, "at": rows.micros(at)}
            database.execute(_HOOKS["drop"], parameters)
            dropped.append(DroppedHooks(rule=rule, kind=kind, count=row["number"]))
    return tuple(dropped)


def retry(database: sqlite3.Connection, *, now: datetime, job: tuple[int, int] | None) -> int:
    """Failed ones; how many."""
    moment = {"now": rows.micros(now)}
    if job is None:
        return database.execute(_HOOKS["retry"], moment).rowcount
    return database.execute(_HOOKS["retry_job"], moment | {"project_id": job[0], "job_id": job[1]}).rowcount


def of_job(database: sqlite3.Connection, project_id: int, job_id: int) -> tuple[QueuedHook, ...]:
    """Oldest first."""
    found = database.execute(_HOOKS["of_job"], {"project_id": project_id, "job_id": job_id}).fetchall()
    return tuple(_hook(database, row) for row in found)


def by_state(database: sqlite3.Connection) -> dict[HookState, int]:
    """How many stand where."""
    return {HookState(row["state"]): row["number"] for row in database.execute(_HOOKS["count_by_state"])}


def figures(database: sqlite3.Connection, limit: int) -> HookFigures:
    """How many stand where, and examples of those that make trouble."""
    failed = database.execute(_HOOKS["failed"], {"limit": limit}).fetchall()
    retrying = database.execute(_HOOKS["retrying"], {"limit": limit}).fetchall()
    return HookFigures(
        by_state=by_state(database),
        retrying=tuple(_hook(database, row) for row in retrying),
        failures=tuple(_hook(database, row) for row in failed),
    )


def always_kept_by(database: sqlite3.Connection, project_id: int, job_id: int) -> frozenset[str]:
    """Rules with a keep of the job that nothing here makes needless."""
    job = {"project_id": project_id, "job_id": job_id}
    return frozenset(row["rule"] for row in database.execute(_HOOKS["always_kept_by"], job))


def _hook(database: sqlite3.Connection, row: sqlite3.Row) -> QueuedHook:
    transfer = database.execute(_HOOKS["transfer"], {"id": row["transfer_id"]}).fetchone()
    if transfer is None:
        raise StateError(
            f"the state database has a hook of transfer {row['transfer_id']}, which is not there",
            hint="`artifact-sync rebuild-state` makes a new one from the manifests in the store, and keeps this one beside it.",
        )
    return QueuedHook(
        id=row["id"],
        rule=row["rule"],
        kind=HookKind(row["kind"]),
        queued=rows.queued(transfer),
        manifest_sha256=row["manifest_sha256"],
        published_at=rows.from_micros(int(row["published_at"])),
        state=HookState(row["state"]),
        attempts=row["attempts"],
        due_at=rows.from_micros(int(row["due_at"])),
        ended_at=rows.from_micros(row["ended_at"]),
        detail=row["detail"],
        hint=row["hint"],
    )

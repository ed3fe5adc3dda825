"""What discovery writes and asks: progress, watched pipelines, and the transfers that a page brought."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from artifact_sync.core.deadlines import turn
from artifact_sync.core.file_patterns import united
from artifact_sync.core.model import KeepDue, Transfer
from artifact_sync.core.selection import arrived
from artifact_sync.ports import Progress, QueuedTransfer, WatchedPipeline
from artifact_sync.state import keeps as keep_rows
from artifact_sync.state import rows
from artifact_sync.state.names import folded
from artifact_sync.state.queries import named

__all__ = [
    "all_progress",
    "count_watched",
    "due_pipelines",
    "hasten",
    "next_look",
    "progress",
    "save",
    "want",
    "watch",
    "watched",
]

_DISCOVERY = named("discovery")
#: Not in flight: nobody works on its items now.
_SETTLED = frozenset({"wanted", "published", "failed"})
#: It was mirrored, and retention took it: nothing of it is wanted again.
_TAKEN = frozenset({"pruning", "pruned"})
_TRANSFERS = named("transfers")


def progress(database: sqlite3.Connection, project_id: int) -> Progress | None:
    """Of one project."""
    row = database.execute(_DISCOVERY["progress"], {"project_id": project_id}).fetchone()
    return rows.progress(row) if row else None


def all_progress(database: sqlite3.Connection) -> tuple[Progress, ...]:
    """Of all projects, by path."""
    return tuple(map(rows.progress, database.execute(_DISCOVERY["all_progress"])))


def save(
    database: sqlite3.Connection,
    progress: Progress,
    *,
    found: Sequence[Transfer],
    keeps: Sequence[KeepDue],
    watch: Sequence[WatchedPipeline],
    unwatch: Sequence[int],
    now: datetime,
) -> tuple[QueuedTransfer, ...]:
    """Everything that a page showed; the transfers that are new."""
    new = want(database, found=found, keeps=keeps, now=now)
    database.executemany(_DISCOVERY["watch"], map(_watched, watch))
    for pipeline_id in unwatch:
        database.execute(_DISCOVERY["unwatch"], {"project_id": progress.project_id, "pipeline_id": pipeline_id})
    database.execute(
        _DISCOVERY["save_progress"],
        {
            "id": progress.project_id,
            "path": progress.path,
            "newest_job_id": progress.newest_job_id,
            "backfill_next": progress.backfill_next,
            "backfill_done": progress.backfill_done,
            "horizon": rows.micros(progress.horizon),
            "newest_pipeline_id": progress.newest_pipeline_id,
            "moved_to": rows.micros(progress.moved_to),
            "children_moved_to": rows.micros(progress.children_moved_to),
            "children_at": rows.micros(progress.children_at),
            "children": progress.children,
            "looked_at": rows.looked_at_json(progress.looked_at),
            "children_looked_at": rows.looked_at_json(progress.children_looked_at),
            "rules": progress.rules,
            "polled_at": rows.micros(progress.polled_at),
        },
    )
    return new


def want(
    database: sqlite3.Connection, *, found: Sequence[Transfer], keeps: Sequence[KeepDue], now: datetime
) -> tuple[QueuedTransfer, ...]:
    """Transfers and keeps; the transfers that are new."""
    new = tuple(queued for transfer in _once_each(found) if (queued := _take_up(database, transfer, now)) is not None)
    for due in keeps:
        keep_rows.add(database, due)
    return new


def watch(database: sqlite3.Connection, pipelines: Sequence[WatchedPipeline]) -> None:
    """From now on."""
    database.executemany(_DISCOVERY["watch"], map(_watched, pipelines))


def hasten(database: sqlite3.Connection, project_id: int, now: datetime) -> None:
    """All of a project are due."""
    database.execute(_DISCOVERY["hasten"], {"project_id": project_id, "now": rows.micros(now)})


def watched(database: sqlite3.Connection, project_id: int) -> frozenset[int]:
    """All of a project."""
    return frozenset(row["pipeline_id"] for row in database.execute(_DISCOVERY["watched"], {"project_id": project_id}))


def due_pipelines(
    database: sqlite3.Connection, project_id: int, now: datetime, limit: int
) -> tuple[WatchedPipeline, ...]:
    """As the port orders them."""
    parameters = {"project_id": project_id, "now": rows.micros(now), "limit": limit}
    return tuple(map(rows.watched, database.execute(_DISCOVERY["due_pipelines"], parameters)))


def next_look(database: sqlite3.Connection, project_id: int) -> datetime | None:
    """The soonest."""
    soonest: int | None = database.execute(_DISCOVERY["next_look"], {"project_id": project_id}).fetchone()[0]
    return rows.from_micros(soonest)


def count_watched(database: sqlite3.Connection) -> int:
    """How many pipelines, of all projects."""
    return int(database.execute(_DISCOVERY["count_watched"]).fetchone()[0])


def _watched(pipeline: WatchedPipeline) -> dict[str, object]:
    return {
        "project_id": pipeline.project_id,
        "pipeline_id": pipeline.pipeline_id,
        "look_at": rows.micros(pipeline.look_at),
        "looks": pipeline.looks,
        "seen": pipeline.seen,
        "runs_in": pipeline.runs_in,
    }


def _once_each(found: Sequence[Transfer]) -> Iterable[Transfer]:
    """Those to one destination as one."""
    merged: dict[tuple[int, int, str], Transfer] = {}
    for transfer in found:
        key = transfer.project_id, transfer.job.id, transfer.dest
        if (first := merged.get(key)) is not None:
            items = united((*first.items, *transfer.items))
            rules = tuple(dict.fromkeys((*first.rules, *transfer.rules)))
            merged[key] = msgspec.structs.replace(first, items=items, rules=rules)
        else:
            merged[key] = transfer
    return merged.values()


def _take_up(database: sqlite3.Connection, transfer: Transfer, now: datetime) -> QueuedTransfer | None:
    """Insert it, or let the known one grow; the row if it is new."""
    parameters = {
        "project_id": transfer.project_id,
        "job_id": transfer.job.id,
        "dest": transfer.dest,
        "suffixed": _suffixed(transfer.dest, transfer.job.id),
    }
    known = database.execute(_TRANSFERS["known"], parameters).fetchone() or _before_a_rename(database, transfer)
    if known is None:
        return None if _taken_before(database, transfer) else _insert(database, transfer, now)
    if known["state"] in _TAKEN:
        return None
    earlier = rows.transfer(known["transfer"])
    kept = earlier.items
    files = rows.staged_files(known["published_files"])
    there = arrived(earlier.items, files)
    idle = known["state"] in _SETTLED - {"published"}
    if idle:
        # What is published stays; what never came and is not asked for any more is dropped with the rule that did.
        asked = {item.name for item in transfer.items}
        kept = tuple(item for item in earlier.items if item.name in there or item.name in asked)
    dropped = len(kept) < len(earlier.items)
    # Whether a file may be missing matters until it is here.
    absent = {item.name: item.optional for item in transfer.items if item.kind == "file" and item.name not in there}
    kept = tuple(item for item in kept if absent.get(item.name, item.optional) == item.optional)
    # What is published of an archive, or on its way, stays beside what is asked for now.
    named = {file.name for file in files}
    stays = {item.name: item.unpack for item in earlier.items if not idle or item.name in named}
    wanted = {
        item.name: msgspec.structs.replace(item, unpack=item.unpack.united(stays.get(item.name, item.unpack)))
        for item in transfer.items
    }
    kept = tuple(item for item in kept if wanted.get(item.name, item).unpack is item.unpack)
    names = {item.name for item in kept}
    gained = tuple(item for name, item in wanted.items() if name not in names)
    rules = transfer.rules if dropped else tuple(dict.fromkeys((*earlier.rules, *transfer.rules)))
    changed = msgspec.structs.replace(earlier, rules=rules, items=(*kept, *gained))
    if changed != earlier:
        query = _TRANSFERS["take_up_items" if gained or dropped else "take_up_rules"]
        database.execute(query, {"id": known["id"], "transfer": rows.transfer_json(changed)})
    return None


def _before_a_rename(database: sqlite3.Connection, transfer: Transfer) -> sqlite3.Row | None:
    """The same job, taken by one of the same rules under a former path of its project: it stays where it is."""
    of_job = {"project_id": transfer.project_id, "job_id": transfer.job.id}
    for row in database.execute(_TRANSFERS["find"], of_job):
        earlier = rows.transfer(row["transfer"])
        if earlier.project_path != transfer.project_path and set(earlier.rules) & set(transfer.rules):
            found: sqlite3.Row = row
            return found
    return None


def _taken_before(database: sqlite3.Connection, transfer: Transfer) -> bool:
    """Whether retention took what all of these rules had of the job, at a destination that they rendered then."""
    of_job = {"project_id": transfer.project_id, "job_id": transfer.job.id}
    taken = [row for row in database.execute(_TRANSFERS["find"], of_job) if row["state"] in _TAKEN]
    return bool(taken) and set(transfer.rules) <= {
        rule for row in taken for rule in rows.transfer(row["transfer"]).rules
    }


def _insert(database: sqlite3.Connection, transfer: Transfer, now: datetime) -> QueuedTransfer:
    dest = transfer.dest
    while taken := database.execute(_TRANSFERS["is_taken"], {"dest_folded": folded(dest)}).fetchone():
        rows.require_other(rows.transfer(taken["transfer"]), transfer)
        dest = _suffixed(dest, transfer.job.id)
    transfer = msgspec.structs.replace(transfer, dest=dest)
    due = rows.micros(turn(transfer.deadline, now, backfill=transfer.backfill))
    row = database.execute(_TRANSFERS["insert"], rows.transfer_columns(transfer) | {"due": due}).fetchone()
    return rows.queued(row)


def _suffixed(dest: str, job_id: int) -> str:
    return f"{dest}%~{job_id}"

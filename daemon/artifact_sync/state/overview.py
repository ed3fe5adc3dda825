"""Figures over everything that the database knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from artifact_sync.ports import TransferState
from artifact_sync.ports.overview import Backlog, RuleLag, Standing
from artifact_sync.state import counters, hooks, keeps, retention, rows, transfers, verification
from artifact_sync.state.queries import named
from artifact_sync.state.works import Works

__all__ = ["SqliteOverview"]

_OVERVIEW = named("overview")


class SqliteOverview:
    """Implements ``ports.overview.Overview``."""

    def __init__(self, state: Works, rules: Callable[[], Iterable[str]]) -> None:
        """``rules``: names of those that are configured now."""
        self._state = state
        self._rules = rules

    async def lags(self) -> Sequence[RuleLag]:
        """As the port says."""
        return await self._state.read(partial(_lags, rules=tuple(self._rules())))

    async def at_risk(self, now: datetime, within: Sequence[timedelta]) -> Sequence[int]:
        """As the port says."""
        return await self._state.read(partial(_at_risk, until=[now + span for span in within]))

    async def backlog(self) -> Mapping[TransferState, Backlog]:
        """As the port says."""
        return await self._state.read(_backlog)

    async def standing(self) -> Standing:
        """As the port says."""
        return await self._state.read(_standing)


def _lags(database: sqlite3.Connection, *, rules: Sequence[str]) -> tuple[RuleLag, ...]:
    found: dict[str, list[sqlite3.Row]] = {rule: [] for rule in rules}
    for row in database.execute(_OVERVIEW["lags"]):
        for rule in msgspec.json.decode(row["rules"], type=list[str]):
            if rule in found:
                found[rule].append(row)
    return tuple(_lag(rule, found[rule]) for rule in rules)


def _lag(rule: str, of: Sequence[sqlite3.Row]) -> RuleLag:
    def times(column: str) -> list[int]:
        # 0: GitLab did not say when the job ended.
        return [int(row[column]) for row in of if row[column]]

    return RuleLag(
        rule=rule,
        newest_finished=rows.from_micros(max(times("newest_finished"), default=None)),
        newest_mirrored=rows.from_micros(max(times("newest_mirrored"), default=None)),
        oldest_waiting=rows.from_micros(min(times("oldest_waiting"), default=None)),
        waiting=sum(int(row["waiting"]) for row in of),
    )


def _at_risk(database: sqlite3.Connection, *, until: Sequence[datetime]) -> tuple[int, ...]:
    return tuple(
        int(database.execute(_OVERVIEW["at_risk"], {"until": rows.micros(moment)}).fetchone()[0]) for moment in until
    )


def _backlog(database: sqlite3.Connection) -> dict[TransferState, Backlog]:
    sizes = {
        TransferState(row["state"]): int(row["size"])
        for query in ("sizes", "announced")
        for row in database.execute(_OVERVIEW[query])
    }
    counts = transfers.by_state(database)
    return {state: Backlog(count=count, bytes=sizes.get(state, 0)) for state, count in counts.items()}


def _standing(database: sqlite3.Connection) -> Standing:
    in_trash, trash_bytes = retention.trash_figures(database)
    row = database.execute(_OVERVIEW["projects"]).fetchone()
    return Standing(
        counts=counters.every(database),
        hooks=hooks.by_state(database),
        projects=int(row["number"]),
        polled_at=rows.from_micros(row["polled_at"]),
        troubles=int(database.execute(_OVERVIEW["troubles"]).fetchone()[0]),
        keeps_due=keeps.count_due(database),
        oldest_verified=verification.oldest_verified(database),
        in_trash=in_trash,
        trash_bytes=trash_bytes,
    )

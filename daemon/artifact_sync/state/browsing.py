"""What a person looks for in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise

import msgspec

from artifact_sync.core.paths import encode
from artifact_sync.errors import Outcome
from artifact_sync.ports import Trouble
from artifact_sync.ports.browsing import Listed, Scope
from artifact_sync.ports.catalogue import MirroredProject
from artifact_sync.state import catalogue, rows, troubles
from artifact_sync.state.names import folded
from artifact_sync.state.queries import named
from artifact_sync.state.works import Works

__all__ = ["SqliteBrowsing"]

_BROWSING = named("browsing")
#: Projects whose newest publications are looked at one by one.
_PROJECTS = 200
#: Words of a search; further ones are left out.
_WORDS = 4
#: Matches among which a search in all projects chooses the newest. With a scope all are looked at.
_MATCHES = 2000
#: Digits of an id that SQLite can hold.
_DIGITS = 18


class SqliteBrowsing:
    """Implements ``ports.browsing.Browsing``."""

    def __init__(self, state: Works) -> None:
        self._state = state

    async def projects(self) -> Sequence[MirroredProject]:
        """As the port says."""
        return await self._state.read(partial(catalogue.projects, mirrored=False))

    async def at_risk(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_listed, query="at_risk", scope=_ids(scope), limit=limit))

    async def expiring(self, scope: Scope, bounds: Sequence[datetime]) -> Sequence[int]:
        """As the port says."""
        return await self._state.read(partial(_expiring, scope=_ids(scope), bounds=bounds))

    async def running(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_listed, query="running", scope=_ids(scope), limit=limit))

    async def failed(self, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_listed, query="failed", scope=_ids(scope), limit=limit))

    async def recent(self, scope: Scope, *, limit: int, also: Collection[int] = ()) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_recent, scope=scope, limit=limit, also=tuple(also)))

    async def refs(self, project_id: int, *, after: str, limit: int) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_refs, project_id=project_id, after=after, limit=limit))

    async def search(self, text: str, scope: Scope, *, limit: int) -> Sequence[Listed]:
        """As the port says."""
        return await self._state.read(partial(_search, words=text.split()[:_WORDS], scope=scope, limit=limit))

    async def troubles(self, *, limit: int) -> Sequence[Trouble]:
        """As the port says."""
        return await self._state.read(partial(troubles.first, limit=limit))


def _ids(scope: Scope) -> str | None:
    return None if scope is None else msgspec.json.encode(sorted(scope)).decode()


def _listed(database: sqlite3.Connection, *, query: str, **parameters: str | int | None) -> tuple[Listed, ...]:
    return tuple(map(_row, database.execute(_BROWSING[query], parameters)))


def _expiring(database: sqlite3.Connection, *, scope: str | None, bounds: Sequence[datetime]) -> tuple[int, ...]:
    def between(since: datetime, until: datetime) -> int:
        parameters = {"scope": scope, "since": rows.micros(since), "until": rows.micros(until)}
        return int(database.execute(_BROWSING["expiring"], parameters).fetchone()[0])

    return tuple(between(since, until) for since, until in pairwise(bounds))


def _recent(database: sqlite3.Connection, *, scope: Scope, limit: int, also: Sequence[int]) -> tuple[Listed, ...]:
    ids = msgspec.json.encode(also).decode()
    found = list(_listed(database, query="published", ids=ids, scope=_ids(scope)))
    if scope is None:
        found += _listed(database, query="recent", limit=limit)
    else:
        for project_id in sorted(scope)[:_PROJECTS]:
            found += _listed(database, query="recent_of", project_id=project_id, limit=limit)
    return _newest(found, limit, by=lambda one: (rows.micros(one.published_at) or 0, one.id))


def _refs(database: sqlite3.Connection, *, project_id: int, after: str, limit: int) -> tuple[Listed, ...]:
    parameters = {"project_id": project_id, "after": after, "limit": limit}
    ids = [int(row["newest"]) for row in database.execute(_BROWSING["refs"], parameters)]
    return tuple(found for one in ids for found in _listed(database, query="one", id=one))


def _search(database: sqlite3.Connection, *, words: Sequence[str], scope: Scope, limit: int) -> tuple[Listed, ...]:
    if not words:
        return ()
    found: list[Listed] = []
    if (
        len(words) == 1
        and (number := words[0].removeprefix("#")).isdecimal()
        and number.isascii()
        and len(number) <= _DIGITS
    ):
        found += _listed(database, query="numbered", job_id=int(number), scope=_ids(scope), limit=limit)
    parameters: dict[str, str | int | None] = {"scope": _ids(scope), "limit": limit}
    parameters["matches"] = _MATCHES if scope is None else -1
    # A ref's or a job's slashes are encoded where they are one component.
    for position, word in enumerate((*words, "", "", "")[:_WORDS]):
        place = folded(_inside(word))
        parameters |= {f"word_{position}": place if "%" in word else folded(word), f"place_{position}": place}
    found += _listed(database, query="placed", **parameters)
    return tuple({one.id: one for one in found}.values())[:limit]


def _inside(word: str) -> str:
    """As it stands inside an encoded component, whose ends are encoded more strictly."""
    return encode(f"a{word}a")[1:-1]


def _newest(found: Iterable[Listed], limit: int, *, by: Callable[[Listed], tuple[int, int]]) -> tuple[Listed, ...]:
    once = {one.id: one for one in found}
    return tuple(sorted(once.values(), key=by, reverse=True)[:limit])


def _row(row: sqlite3.Row) -> Listed:
    return Listed(
        id=row["id"],
        transfer=rows.transfer(row["transfer"]),
        state=rows.state(row),
        attempts=row["attempts"],
        next_attempt_at=rows.from_micros(row["next_attempt_at"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error=row["error"],
        published_at=rows.from_micros(row["published_at"]),
        size=row["size"],
    )

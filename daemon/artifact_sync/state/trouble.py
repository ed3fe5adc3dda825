"""What SQLite's errors mean (https://www.sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3

from artifact_sync.errors import NoSpace, StateError

__all__ = ["judged", "unreadable"]

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
#: Python's word, not SQLite's, on a text that is not UTF-8.
_UNDECODABLE = "Could not decode to UTF-8"
_REBUILD = (
    "Nothing was changed. Move the file aside and start again: what is mirrored stands in the store with its manifests, "
    "from which a new database can be rebuilt."
)


def unreadable(error: ValueError, doing: str) -> StateError:
    """The error for what the database holds and this program never wrote: no such state, no UTF-8, no JSON, no such time."""
    return StateError(f"{doing}: it holds something that cannot be: {error}", hint=_REBUILD)


def judged(error: sqlite3.Error, doing: str) -> StateError | NoSpace:
    """The error of this program for one of SQLite's."""
    # The low byte is the primary code; Python's own misuse errors have none.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    said = f"{doing}: {error}"
    if code == sqlite3.SQLITE_FULL:
        return NoSpace(
            said, hint="The disk of the state database is full: free some space; work goes on by itself then."
        )
    if code in _DAMAGED or _UNDECODABLE in said:
        return StateError(said, hint=_REBUILD)
    if code in _BUSY:
        return StateError(
            said, hint="Another process holds the state database for too long: see which one has it open."
        )
    if code == sqlite3.SQLITE_IOERR:
        return StateError(said, hint="The disk of the state database fails: look at the kernel's log, check the disk.")
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return StateError(
            said, hint="The state database and its directory must be writable for the user that artifact-sync runs as."
        )
    return StateError(said, hint="This is an error in artifact-sync: please report it.")

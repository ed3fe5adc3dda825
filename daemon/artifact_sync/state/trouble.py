"""What SQLite's errors mean (https://www.sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3

from artifact_sync.errors import NoSpace, StateError

__all__ = ["judged", "unreadable"]

#: Python's word, not SQLite's, on a text that is not UTF-8.
_UNDECODABLE = "Could not decode to UTF-8"
_REBUILD = (
    "Nothing was changed. `artifact-sync rebuild-state` makes a new one from the manifests in the store, where all that is "
    "mirrored stands, and keeps this one beside it."
)
_BUSY = "Another process holds the state database for too long: see which one has it open."
_WRITABLE = "The state database and its directory must be writable for the user that artifact-sync runs as."
#: Every statement is written in this program and tested: what does not run meets a schema, or rows, that were different.
_DOUBTFUL = f"{_REBUILD} If it comes again with that one, please report it."
_HINTS = {
    sqlite3.SQLITE_CORRUPT: _REBUILD,
    sqlite3.SQLITE_NOTADB: _REBUILD,
    sqlite3.SQLITE_ERROR: _DOUBTFUL,
    sqlite3.SQLITE_CONSTRAINT: _DOUBTFUL,
    sqlite3.SQLITE_MISMATCH: _DOUBTFUL,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_IOERR: "The disk of the state database fails: look at the kernel's log, check the disk.",
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
}


def unreadable(error: ValueError, doing: str) -> StateError:
    """The error for what the database holds and this program never wrote: no such state, no UTF-8, no JSON, no such time."""
    return StateError(f"{doing}: it holds something that cannot be: {error}", hint=_REBUILD)


def judged(error: sqlite3.Error, doing: str) -> StateError | NoSpace:
    """The error of this program for one of SQLite's."""
    # The low byte is the primary code; Python's own misuse errors have none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    said = f"{doing}: {error}"
    if code == sqlite3.SQLITE_FULL:
        return NoSpace(
            said, hint="The disk of the state database is full: free some space; work goes on by itself then."
        )
    if _UNDECODABLE in said:
        return StateError(said, hint=_REBUILD)
    return StateError(said, hint=_HINTS.get(code, "This is an error in artifact-sync: please report it."))

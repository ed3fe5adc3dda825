"""SQL as it stands in its files: numbered migrations and named queries."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

__all__ = ["Migration", "migrations", "named", "statements"]

_SQL = files("artifact_sync.state") / "sql"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What brings a database from the version before to ``version``."""

    version: int
    sql: str


def migrations() -> tuple[Migration, ...]:
    """All of them, oldest first."""
    found = [
        Migration(version=int(entry.name[:4]), sql=entry.read_text("utf-8"))
        for entry in _SQL.iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


def named(topic: str) -> Mapping[str, str]:
    """The queries of one file, by name."""
    _, *rest = _NAME.split((_SQL / "queries" / f"{topic}.sql").read_text("utf-8"))
    return MappingProxyType(dict(zip(rest[::2], (sql.strip() for sql in rest[1::2]), strict=True)))


def statements(sql: str) -> tuple[str, ...]:
    """The single statements of a script: sqlite3's own executescript would commit between them."""
    found: list[str] = []
    waiting = ""
    for line in sql.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            found.append(waiting.strip())
            waiting = ""
    return tuple(found)

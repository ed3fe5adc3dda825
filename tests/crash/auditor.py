"""Looks at a store and a state and says what is wrong with them. It shares no code with what it judges.

At any moment, also between a crash and the next start:

- whatever is visible below ``tree/`` belongs to a publication, is named with its size and checksum by that publication's
  manifest and SHA256SUMS, and equals what GitLab serves; nothing that they name is missing;
- every object is what its name says;
- whatever the state calls published, or the daemon has told as published, stands there whole.

After a start and a complete pass, also: everything is mirrored, and nothing is left over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.served import Served

__all__ = ["Auditor", "Row", "published_rows"]

_MANIFEST, _SUMS = ".artifact-sync.json", "SHA256SUMS"
_OBJECT = re.compile(r"[0-9a-f]{64}x?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the state says of one publication."""

    dest: str
    job_id: int
    files: Mapping[str, tuple[str, int]]


@dataclass
class Publication:
    """A directory with a manifest, as found: sha256 and size by name."""

    job_id: int
    named: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Auditor:
    """One store, one state, and what GitLab serves."""

    store: Path
    state: Path
    served: Served

    def look(self, *, told: Iterable[str] = ()) -> list[str]:
        """What is wrong at this moment. ``told``: destinations that the daemon has said to be published."""
        found, wrong = self._publications()
        wrong += self._objects()
        rows, unreadable = published_rows(self.state)
        wrong += unreadable
        for row in rows:
            wrong += self._row(row, found.get(row.dest))
        recorded = {row.dest for row in rows}
        for dest in sorted(told):
            if dest not in found:
                wrong.append(f"{dest} was told as published and is not there")
            elif dest not in recorded:
                wrong.append(f"{dest} was told as published, and the state does not say so")
        return wrong

    def look_complete(self, *, tidy: bool = True) -> list[str]:
        """What is wrong after a start and a complete pass. ``tidy``: also what is left over, which the start removes."""
        wrong = self.look()
        rows, _ = published_rows(self.state)
        wrong += [f"job {job} is not mirrored" for job in self.served.jobs.keys() - {row.job_id for row in rows}]
        if not tidy:
            return wrong
        wrong += [
            f"{path.relative_to(self.store)} is left over" for path in sorted((self.store / ".staging").rglob("*"))
        ]
        objects = self.store / "objects"
        wrong += [
            f"{path.relative_to(self.store)} is nobody's object"
            for path in sorted(objects.rglob("*"))
            if path.is_file() and path.stat().st_nlink == 1
        ]
        return wrong

    def _publications(self) -> tuple[dict[str, Publication], list[str]]:
        tree, found, wrong = self.store / "tree", dict[str, Publication](), list[str]()
        shown: list[str] = []
        for folder, folders, names in os.walk(tree):
            above = Path(folder).relative_to(tree)
            links = [Path(folder) / name for name in (*folders, *names) if (Path(folder) / name).is_symlink()]
            wrong += [
                f"{link.relative_to(self.store)} points at no publication"
                for link in links
                if not (link / _MANIFEST).is_file()
            ]
            if _MANIFEST in names:
                dest = str(above)
                publication, said = self._publication(dest)
                wrong += said
                if publication is not None:
                    found[dest] = publication
            shown += [str(above / name) for name in names if not name.startswith(".")]
        return found, wrong + self._unnamed(shown, found)

    def _unnamed(self, shown: Iterable[str], found: Mapping[str, Publication]) -> list[str]:
        """Visible files that no publication names."""
        named = {f"{dest}/{name}" for dest, publication in found.items() for name in (*publication.named, _SUMS)}
        return [
            f"tree/{path} is visible, and no manifest names it"
            for path in shown
            if path not in named and not (self.store / "tree" / path).is_symlink()
        ]

    def _publication(self, dest: str) -> tuple[Publication | None, list[str]]:
        folder = self.store / "tree" / dest
        try:
            manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())
            publication = Publication(int(manifest["job"]["id"]))
            publication.named = {file["name"]: (file["sha256"], file["size"]) for file in manifest["files"]}
        except (ValueError, KeyError, TypeError) as error:
            return None, [f"the manifest of {dest} is not whole: {error!r}"]
        wrong = []
        served = self.served.jobs.get(publication.job_id)
        if served is None:
            return publication, [f"{dest} is of job {publication.job_id}, which GitLab does not have"]
        for name, (sha256, size) in publication.named.items():
            if served.get(name) != sha256:
                wrong.append(f"{dest}/{name} is not what GitLab serves")
            elif (real := _content(folder / name)) != (sha256, size):
                wrong.append(f"{dest}/{name} is {real or 'not there'} instead of {(sha256, size)}")
        summed = _summed(folder / _SUMS)
        if summed != {name: sha256 for name, (sha256, _) in publication.named.items()}:
            wrong.append(f"{dest}: SHA256SUMS and the manifest differ")
        return publication, wrong

    def _objects(self) -> list[str]:
        wrong = []
        for path in (self.store / "objects").glob("*/*"):
            name = path.name
            content = _content(path)
            if not _OBJECT.fullmatch(name) or content is None or content[0] != name[:64]:
                wrong.append(f"object {name} is not what its name says")
        return wrong

    def _row(self, row: Row, publication: Publication | None) -> list[str]:
        if publication is None:
            return [f"{row.dest} is published according to the state, and not there"]
        if publication.job_id != row.job_id:
            return [f"{row.dest} is of job {publication.job_id}, and of job {row.job_id} according to the state"]
        return [
            f"{row.dest}/{name} is {publication.named.get(name)}, and {content} according to the state"
            for name, content in row.files.items()
            if publication.named.get(name) != content
        ]


def published_rows(state: Path) -> tuple[list[Row], list[str]]:
    """What the database calls published, read from a copy of it with its log; and what is wrong with it."""
    if not state.exists():
        return [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "state.db"
        for suffix in ("", "-wal"):
            with_suffix = state.with_name(f"{state.name}{suffix}")
            if with_suffix.exists():
                shutil.copyfile(with_suffix, f"{copy}{suffix}")
        try:
            with closing(sqlite3.connect(copy)) as database:
                if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'transfer'").fetchone():
                    return [], []
                found = database.execute(
                    "SELECT dest, job_id, published_files FROM transfer WHERE state = 'published'"
                ).fetchall()
        except sqlite3.Error as error:
            return [], [f"the state database cannot be read: {error}"]
    try:
        rows = [
            Row(dest=dest, job_id=job_id, files={f["name"]: (f["sha256"], f["size"]) for f in _shown(files)})
            for dest, job_id, files in found
        ]
    except (ValueError, KeyError, TypeError) as error:
        return [], [f"the state database holds a row that cannot be: {error!r}"]
    return rows, []


def _shown(files: str) -> list[dict[str, Any]]:
    """Those that are published; an archive that is shown unpacked alone is not."""
    return [file for file in json.loads(files) if file.get("published", True)]


def _content(path: Path) -> tuple[str, int] | None:
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    except FileNotFoundError:
        return None


def _summed(path: Path) -> dict[str, str] | None:
    try:
        text = path.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    if lines.pop() != "" or any(not re.fullmatch(r"[0-9a-f]{64}  .+", line) for line in lines):
        return None
    return {line[66:]: line[:64] for line in lines}

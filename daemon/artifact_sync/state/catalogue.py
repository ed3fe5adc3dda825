"""What is asked of the mirror by those who read it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec

from artifact_sync.core.model import Job, StagedFile
from artifact_sync.ports.catalogue import Copy, MirroredJob, MirroredProject
from artifact_sync.state import rows
from artifact_sync.state.queries import named
from artifact_sync.state.works import Works

__all__ = ["SqliteCatalogue", "projects"]

_CATALOGUE = named("catalogue")
_MOST = 2**63 - 1
#: Projects in one read, where one is looked for by its path.
_PAGE = 1000


class SqliteCatalogue:
    """Implements ``ports.catalogue.Catalogue``."""

    def __init__(self, state: Works) -> None:
        self._state = state

    async def projects(self, *, after: int = 0, limit: int) -> tuple[MirroredProject, ...]:
        """As the port says."""
        return await self._state.read(partial(projects, mirrored=True, after=after, limit=limit))

    async def project_named(self, path: str) -> MirroredProject | None:
        """As the port says."""
        for project_id in await self._state.read(partial(_named, path=path)):
            if (known := await self.projects(after=project_id - 1, limit=1)) and known[0].id == project_id:
                return known[0]
        # Projects that others' pipelines lead to are not among those that are polled.
        after = 0
        while page := await self.projects(after=after, limit=_PAGE):
            if found := next((project for project in page if project.path == path), None):
                return found
            after = page[-1].id
        return None

    async def jobs(
        self, project_id: int, *, before: int | None, statuses: Collection[str], limit: int, offset: int = 0
    ) -> tuple[MirroredJob, ...]:
        """As the port says."""
        parameters = {
            "project_id": project_id,
            "before": _MOST if before is None else before,
            "statuses": msgspec.json.encode(sorted(statuses)).decode() if statuses else None,
            "limit": limit,
            "offset": offset,
        }
        return await self._state.read(partial(_jobs, query="jobs", parameters=parameters))

    async def job(self, project_id: int, job_id: int) -> MirroredJob | None:
        """As the port says."""
        found = await self._state.read(partial(_mirrored, project_id=project_id, ids=[job_id]))
        return found[0] if found else None

    async def pipeline(self, project_id: int, pipeline_id: int, *, limit: int) -> tuple[MirroredJob, ...]:
        """As the port says."""
        parameters = {"project_id": project_id, "pipeline_id": pipeline_id, "limit": limit}
        return await self._state.read(partial(_jobs, query="pipeline", parameters=parameters))

    async def on_ref(self, project_id: int, ref: str, *, before: int | None, limit: int) -> tuple[Job, ...]:
        """As the port says."""
        bound = _MOST if before is None else before
        parameters: dict[str, int | str] = {"project_id": project_id, "ref": ref, "before": bound, "limit": limit}
        return await self._state.read(partial(_on_ref, parameters=parameters))

    async def files(self, copy: Copy) -> Sequence[StagedFile]:
        """As the port says."""
        return await self._state.read(partial(_files, copy_id=copy.id))

    async def polled_at(self) -> datetime | None:
        """As the port says."""
        return await self._state.read(_polled_at)


def projects(
    database: sqlite3.Connection, *, mirrored: bool, after: int = 0, limit: int = -1
) -> tuple[MirroredProject, ...]:
    """By id, behind ``after``: those of which something is mirrored, or every one of which a transfer is known.

    A negative ``limit`` is none (https://www.sqlite.org/lang_select.html#the_limit_clause).
    """
    found = database.execute(_CATALOGUE["projects"], {"mirrored": mirrored, "after": after, "limit": limit})
    return tuple(MirroredProject(id=row["id"], path=row["path"] or "") for row in found)


def _named(database: sqlite3.Connection, *, path: str) -> tuple[int, ...]:
    return tuple(int(row["id"]) for row in database.execute(_CATALOGUE["named"], {"path": path}))


def _jobs(
    database: sqlite3.Connection, *, query: str, parameters: Mapping[str, int | str | None]
) -> tuple[MirroredJob, ...]:
    ids = dict.fromkeys(int(row["job_id"]) for row in database.execute(_CATALOGUE[query], parameters))
    project_id = parameters["project_id"]
    assert isinstance(project_id, int)  # noqa: S101 - every caller gives one
    return _mirrored(database, project_id=project_id, ids=ids)


def _mirrored(database: sqlite3.Connection, *, project_id: int, ids: Collection[int]) -> tuple[MirroredJob, ...]:
    wanted = {"project_id": project_id, "jobs": msgspec.json.encode(list(ids)).decode()}
    pinned = {row["job_id"] for row in database.execute(_CATALOGUE["pinned"], wanted)}
    found = []
    for job_id in ids:
        copies = database.execute(_CATALOGUE["copies"], {"project_id": project_id, "job_id": job_id})
        if known := tuple(map(_copy, copies)):
            found.append(MirroredJob(copies=known, pinned=job_id in pinned))
    return tuple(found)


def _copy(row: sqlite3.Row) -> Copy:
    transfer = rows.transfer(row["transfer"])
    return Copy(id=row["id"], transfer=transfer, published_at=rows.from_micros(int(row["published_at"])))


def _on_ref(database: sqlite3.Connection, *, parameters: Mapping[str, int | str]) -> tuple[Job, ...]:
    found: dict[int, Job] = {}
    for row in database.execute(_CATALOGUE["ref"], parameters):
        found.setdefault(int(row["job_id"]), rows.transfer(row["transfer"]).job)
    return tuple(found.values())


def _files(database: sqlite3.Connection, *, copy_id: int) -> tuple[StagedFile, ...]:
    row = database.execute(_CATALOGUE["files"], {"id": copy_id}).fetchone()
    return () if row is None else rows.staged_files(row["published_files"])


def _polled_at(database: sqlite3.Connection) -> datetime | None:
    polled: int | None = database.execute(_CATALOGUE["polled"]).fetchone()[0]
    return rows.from_micros(polled)

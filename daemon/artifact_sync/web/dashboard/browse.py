"""From a project down to the files inside an archive, and each of them to be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from artifact_sync.core.model import StagedFile
from artifact_sync.ports.catalogue import Copy, MirroredJob
from artifact_sync.web.answers import ApiError, missing
from artifact_sync.web.artifacts import (
    Rows,
    archive_answer,
    archive_rows,
    file_answer,
    report_answer,
    trace_answer,
)
from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import dashboard_of
from artifact_sync.web.dashboard.entering import page
from artifact_sync.web.dashboard.pages import pages_of
from artifact_sync.web.finding import grant_of, job_of, project_of

__all__ = ["routes"]

#: Rows of a page.
_PAGE = 100
#: Files of one publication that are shown; the archive's own list has pages.
_FILES = 500
_PROJECT = r"/browse/{id:\d+}"
_JOB = rf"{_PROJECT}/jobs/{{job_id:\d+}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Publication:
    copy: Copy
    files: Sequence[StagedFile]
    #: Files that are not shown.
    left: int

    def query(self, file: StagedFile) -> dict[str, str] | None:
        """How the file is asked for; None where it can only be had from the store."""
        item = next((item for item in self.copy.transfer.items if item.name == file.name), None)
        if item is None:
            return None if file.path is None else {"of": "file", "path": file.path}
        if item.kind == "file":
            return {"of": "file", "path": item.path or ""}
        return {"of": item.kind, "path": item.path or ""} if item.kind == "report" else {"of": item.kind}


@page
async def _projects(request: web.Request) -> web.StreamResponse:
    """GET /browse: projects of which something is mirrored, by path."""
    grant, after = grant_of(request), request.query.get("after", "")
    known = [one for one in await dashboard_of(request).browsing.projects() if grant.sees(one) and one.path > after]
    rows = sorted(known, key=lambda one: one.path)
    return pages_of(request).answer(
        "projects",
        here="browse",
        readers=replica_of(request).readers,
        projects=rows[:_PAGE],
        more=rows[_PAGE - 1].path if len(rows) > _PAGE else None,
    )


@page
async def _project(request: web.Request) -> web.StreamResponse:
    """GET /browse/:id: its refs, and its newest jobs."""
    project, after = await project_of(request), request.query.get("after", "")
    refs = await dashboard_of(request).browsing.refs(project.id, after=after, limit=_PAGE + 1)
    return pages_of(request).answer(
        "project",
        here="browse",
        readers=replica_of(request).readers,
        project=project,
        refs=refs[:_PAGE],
        more=refs[_PAGE - 1].transfer.job.ref if len(refs) > _PAGE else None,
    )


@page
async def _jobs(request: web.Request) -> web.StreamResponse:
    """GET /browse/:id/jobs: mirrored jobs, the newest first; of one ``ref`` where that is asked."""
    project, ref, before = await project_of(request), request.query.get("ref", ""), _number(request, "before")
    catalogue = replica_of(request).catalogue
    if ref:
        jobs = list(await catalogue.on_ref(project.id, ref, before=before, limit=_PAGE + 1))
    else:
        found = await catalogue.jobs(project.id, before=before, statuses=(), limit=_PAGE + 1)
        jobs = [mirrored.job for mirrored in found]
    return pages_of(request).answer(
        "jobs",
        here="browse",
        readers=replica_of(request).readers,
        project=project,
        ref=ref,
        jobs=jobs[:_PAGE],
        more=jobs[_PAGE - 1].id if len(jobs) > _PAGE else None,
        gitlab=replica_of(request).gitlab,
    )


@page
async def _job(request: web.Request) -> web.StreamResponse:
    """GET /browse/:id/jobs/:job_id: its publications and their files, and what is in its archive below ``path``."""
    project, job = await project_of(request), await job_of(request)
    below, find, start = request.query.get("path", ""), request.query.get("find", "").strip(), _number(request, "from")
    start = start or 0
    rows, total, broken = await _members(request, job, below, find, start)
    return pages_of(request).answer(
        "job",
        here="browse",
        readers=replica_of(request).readers,
        project=project,
        mirrored=job,
        publications=[await _publication(request, copy) for copy in job.copies],
        below=below,
        find=find,
        broken=broken,
        members=rows,
        total=total,
        start=start,
        more=start + _PAGE if total > start + _PAGE else None,
        now=replica_of(request).clock.now(),
        gitlab=replica_of(request).gitlab,
    )


@page
async def _download(request: web.Request) -> web.StreamResponse:
    """GET .../:job_id/download with ``of``: archive, trace, report or file, and the last two's ``path``."""
    job, of, path = await job_of(request), request.query.get("of", "archive"), request.query.get("path", "")
    if of == "archive":
        return await archive_answer(request, job)
    if of == "trace":
        return await trace_answer(request, job)
    if of == "report":
        return await report_answer(request, job, path)
    if of == "file" and path:
        return await file_answer(request, job, path)
    raise missing()


async def _publication(request: web.Request, copy: Copy) -> _Publication:
    files = [file for file in await replica_of(request).catalogue.files(copy) if file.published]
    return _Publication(copy=copy, files=files[:_FILES], left=max(0, len(files) - _FILES))


async def _members(
    request: web.Request, job: MirroredJob, below: str, find: str, start: int
) -> tuple[Rows | None, int, str]:
    """A page of the archive's rows and how many there are, None without an archive; and why there are none."""
    wanted = find.casefold()

    def page(rows: Rows) -> tuple[Rows, int]:
        found = [row for row in rows if wanted in row["path"].casefold()] if wanted else rows
        found.sort(key=lambda row: (row["type"] != "directory", row["path"]))
        return found[start : start + _PAGE], len(found)

    try:
        rows, total = await archive_rows(request, job, below, recursive=bool(find), part=page)
    except ApiError as error:
        if below:
            raise
        return None, 0, str(error.payload.get("message", "")).partition(": ")[2]
    return rows, total, ""


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None  # noqa: PLR2004 - SQLite's digits


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [
        web.get("/browse", _projects),
        web.get(_PROJECT, _project),
        web.get(f"{_PROJECT}/jobs", _jobs),
        web.get(_JOB, _job),
        web.get(f"{_JOB}/download", _download),
    ]

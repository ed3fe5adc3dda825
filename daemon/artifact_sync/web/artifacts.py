"""The files of a mirrored job: which of its publications has what is asked for, and how it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from aiohttp import web
from anyio import to_thread

from artifact_sync.core import published_files
from artifact_sync.core.model import StagedFile, Transfer
from artifact_sync.errors import Corrupt
from artifact_sync.ports.catalogue import Copy, MirroredJob, OpenFile
from artifact_sync.web.answers import ApiError, flag, missing, reply, tagged
from artifact_sync.web.context import replica_of
from artifact_sync.web.finding import asked_of
from artifact_sync.web.members import kind_of, send_member, tree_rows
from artifact_sync.web.paging import offset_headers, offset_of
from artifact_sync.web.sending import attachment, send

__all__ = ["Rows", "archive_answer", "archive_rows", "file_answer", "report_answer", "trace_answer", "tree_answer"]

Rows: TypeAlias = list[dict[str, Any]]
Choice = Callable[[Transfer, Sequence[StagedFile]], StagedFile | None]
_DAMAGED = "the copy here is damaged and waits to be repaired"


async def archive_answer(request: web.Request, job: MirroredJob) -> web.StreamResponse:
    """The archive. Raises ApiError 404."""
    _, copy, found = await _opened(request, job, published_files.archive)
    headers = attachment("artifacts.zip")
    return await send(request, found, modified=copy.published_at, headers=headers)


async def report_answer(request: web.Request, job: MirroredJob, file_type: str) -> web.StreamResponse:
    """A report as GitLab stores it. Raises ApiError 404."""
    _, copy, found = await _opened(request, job, lambda t, files: published_files.report(t, files, file_type))
    return await send(request, found, modified=copy.published_at, headers=attachment(_report_name(job, file_type)))


async def trace_answer(request: web.Request, job: MirroredJob) -> web.StreamResponse:
    """The log. Raises ApiError 404: an empty answer would say that the job wrote nothing."""
    _, copy, found = await _opened(request, job, published_files.trace)
    headers = attachment(f"{job.job.id}.log", "text/plain", binary=False)
    return await send(request, found, modified=copy.published_at, headers=headers)


async def file_answer(request: web.Request, job: MirroredJob, path: str) -> web.StreamResponse:
    """One file by its path in the archive: a published one, or out of the archive.

    Raises ApiError: 404; 400 for a path with NUL or broken UTF-8 (lib/gitlab/ci/build/artifacts/path.rb).
    """
    if "\0" in path or not _is_text(request.rel_url.raw_path):
        raise ApiError(400, {"message": "400 Bad request"})

    def itself(transfer: Transfer, files: Sequence[StagedFile]) -> StagedFile | None:
        return published_files.single(transfer, files, path)

    choice, copy, found = await _opened(request, job, itself, published_files.archive)
    if choice is itself:
        headers = attachment(path.rpartition("/")[2], kind_of(path))
        return await send(request, found, modified=copy.published_at, headers=headers)
    try:
        return await send_member(request, found, path, modified=copy.published_at)
    except Corrupt as error:
        raise missing(why=_DAMAGED) from error


async def archive_rows(
    request: web.Request, job: MirroredJob, below: str, *, recursive: bool, part: Callable[[Rows], tuple[Rows, int]]
) -> tuple[Rows, int]:
    """A part of what is in the archive below a path, as artifacts/tree lists it, and of how many it is one.

    ``part`` takes it out of all of them: those are gone before anybody else's list is made. Raises ApiError 404.
    """
    _, _, found = await _opened(request, job, published_files.archive)

    def listed() -> tuple[Rows, int]:
        rows = tree_rows(found, below, recursive=recursive)
        if below.strip("/") and not rows:
            raise missing("Path")
        return part(rows)

    with found.file:
        try:
            return await to_thread.run_sync(listed, limiter=replica_of(request).listing)
        except Corrupt as error:
            raise missing(why=_DAMAGED) from error


async def tree_answer(request: web.Request, job: MirroredJob) -> web.StreamResponse:
    """The archive's list of files. Raises ApiError 404."""
    asked = asked_of(request)
    offset = offset_of(asked)
    end = offset.start + offset.size
    below, recursive = request.query.get("path", ""), flag(request, "recursive")
    page, total = await archive_rows(
        request, job, below, recursive=recursive, part=lambda rows: (rows[offset.start : end], len(rows))
    )
    headers = offset_headers(asked, offset, more=total > end, total=total)
    return tagged(request, reply(page, headers=headers))


async def _opened(request: web.Request, job: MirroredJob, *choices: Choice) -> tuple[Choice, Copy, OpenFile]:
    """The first file that stands as it was published, by the first choice that has one in any publication."""
    room, damaged = replica_of(request).room, False
    for choose in choices:
        async for copy, file in _chosen(request, job, choose):
            found = await room.open(copy.transfer.dest, file)
            if found is not None:
                return choose, copy, found
            damaged = True
    raise missing(why=_DAMAGED if damaged else "")


async def _chosen(request: web.Request, job: MirroredJob, choose: Choice) -> AsyncIterator[tuple[Copy, StagedFile]]:
    for copy in job.copies:
        file = choose(copy.transfer, await replica_of(request).catalogue.files(copy))
        if file is not None:
            yield copy, file


def _report_name(job: MirroredJob, file_type: str) -> str:
    rows = job.job.artifacts or ()
    return next((row.filename for row in rows if row.file_type == file_type and row.filename), file_type)


def _is_text(raw: str) -> bool:
    """Whether an escaped path is UTF-8. yarl leaves escapes that are not as they stand, which is another file's name."""
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeError:
        return False
    return True

"""Files out of a mirrored archive: one as it is unpacked, and the list of them."""

from __future__ import annotations

import mimetypes
import re
import stat
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from datetime import datetime
from hashlib import sha256
from typing import Any

import structlog
from aiohttp import web
from anyio import CapacityLimiter, to_thread

from artifact_sync.core.archive import Member
from artifact_sync.core.archive_end import End
from artifact_sync.core.byte_ranges import Verdict
from artifact_sync.errors import Corrupt
from artifact_sync.ports.catalogue import OpenFile
from artifact_sync.store.zip_reading import ZipFile
from artifact_sync.web.answers import missing
from artifact_sync.web.context import replica_of
from artifact_sync.web.sending import attachment, judged, validators

__all__ = ["kind_of", "send_member", "tree_rows"]

log = structlog.get_logger()

#: lib/gitlab/ci/build/artifacts/metadata.rb, ``INVALID_PATH_PATTERN``: such members are in no list.
_UNLISTED = re.compile(r"^\.?\.?/|/\.?\.?/")


def kind_of(path: str) -> str:
    """The content type by the name, as Workhorse gives it (internal/artifacts/entry.go)."""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


async def send_member(request: web.Request, found: OpenFile, path: str, *, modified: datetime) -> web.StreamResponse:
    """One file of the archive, unpacked while it is sent; the archive is closed in any case.

    No ranges, as in GitLab. Where size or CRC are not what the archive says, the connection breaks before its last bytes:
    nobody can take that for the file. Raises ApiError 404.
    """
    with found.file:
        archive = ZipFile(found.file, found.size)
        end, member = await to_thread.run_sync(_found, archive, path, limiter=replica_of(request).inflating)
        if member is None:
            raise missing()
        if not member.testable:
            raise missing(why="it is encrypted, or packed by a method that is not unpacked here")
        # lib/api/ci/job_artifacts.rb, ``artifact_etag``.
        etag = f'"{sha256(f"{found.sha256}:{path}".encode("utf-8", "surrogateescape")).hexdigest()}"'
        verdict, told = judged(validators(request), etag=etag, modified=modified, size=member.size, ranges=False)
        headers = {**attachment(path.rpartition("/")[2], kind_of(path)), **told}
        if verdict is not Verdict.WHOLE and isinstance(verdict, Verdict):
            return web.Response(status=verdict.value, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.content_length = member.size
        await response.prepare(request)
        if request.method != "HEAD":
            await _unpacked(request, response, archive, member, end)
        await response.write_eof()
        return response


def _found(archive: ZipFile, path: str) -> tuple[End, Member | None]:
    end = archive.end()
    return end, archive.find(path, end)


async def _unpacked(
    request: web.Request, response: web.StreamResponse, archive: ZipFile, member: Member, end: End
) -> None:
    try:
        async with aclosing(_off_loop(archive.content(member, end), replica_of(request).inflating)) as pieces:
            async for piece in pieces:
                await response.write(piece)
    except (Corrupt, OSError) as error:
        if isinstance(error, ConnectionError):
            raise
        log.error("http.member_broken", error=str(error))  # noqa: TRY400 - the file is at fault, not the program
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from error


async def _off_loop(pieces: Iterator[bytes], limiter: CapacityLimiter) -> AsyncGenerator[bytes, None]:
    # Of each piece, and not of the whole: who reads slowly holds nobody up.
    while (piece := await to_thread.run_sync(next, pieces, None, limiter=limiter)) is not None:
        yield piece


def tree_rows(found: OpenFile, below: str, *, recursive: bool) -> list[dict[str, Any]]:
    """What artifacts/tree lists below a path, one level unless ``recursive`` (https://docs.gitlab.com/api/job_artifacts/).

    A directory's path ends in a slash, and it has no size. Blocking. Raises Corrupt, OSError.
    """
    archive = ZipFile(found.file, found.size)
    return _rows(archive.members(archive.end()), below, recursive=recursive)


def _rows(members: Iterable[Member], below: str, *, recursive: bool) -> list[dict[str, Any]]:
    base = f"{stripped}/" if (stripped := below.strip("/")) else ""
    rows: dict[str, dict[str, Any]] = {}
    for member in members:
        name = member.name
        rest = name.removeprefix(base).rstrip("/")
        if not name.startswith(base) or not rest or _UNLISTED.search(name):
            continue
        if "/" in rest and not recursive:
            rest = rest.partition("/")[0]
            rows.setdefault(rest, _row(base + rest, stat.S_IFDIR | 0o755))
        elif member.is_dir:
            rows.setdefault(rest, _row(base + rest, member.mode))
        else:
            rows.setdefault(rest, _row(base + rest, member.mode, member.size))
    return list(rows.values())


def _row(path: str, mode: int, size: int | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": path.rpartition("/")[2], "path": path, "mode": f"{mode:06o}"}
    if size is None:
        return row | {"type": "directory", "path": f"{path}/"}
    return row | {"type": "file", "size": size}

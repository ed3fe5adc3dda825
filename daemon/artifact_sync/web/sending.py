"""A published file as an answer: conditions, one range, and sendfile.

aiohttp's own FileResponse takes a Range under an If-Range that names another file's ETag (aio-libs/aiohttp#13480), and makes
its ETag of time and size. So the conditions are judged here, and the ETag is the content's SHA-256.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import web
from anyio import to_thread

from artifact_sync.core.byte_ranges import Part, Validators, Verdict, judge
from artifact_sync.ports.catalogue import OpenFile

__all__ = ["attachment", "judged", "send", "validators"]

#: Bytes in one go where the platform has no sendfile.
_CHUNK = 256 << 10
#: A file of somebody's build must do nothing in a browser: it is saved, it is what it says it is, and it runs nowhere.
_HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def attachment(filename: str, kind: str = "application/octet-stream", *, binary: bool = True) -> dict[str, str]:
    """Headers of a file that is to be saved under this name, whatever is in it (RFC 6266). Of logs GitLab does not say binary."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    coded = quote(filename.encode("utf-8", "replace"), safe="")
    return {
        "Content-Type": kind,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}",
        **({"Content-Transfer-Encoding": "binary"} if binary else {}),
        **_HARMLESS,
    }


def validators(request: web.Request) -> Validators:
    """What a request says of the copy that its sender has."""
    asked = request.headers
    return Validators(
        range=asked.get("Range"),
        if_range=asked.get("If-Range"),
        if_match=asked.get("If-Match"),
        if_none_match=asked.get("If-None-Match"),
    )


def judged(
    asked: Validators, *, etag: str, modified: datetime, size: int, ranges: bool = True
) -> tuple[Part | Verdict, dict[str, str]]:
    """What is answered, and the headers that tell of it. Without ``ranges`` everything is given, and said to be."""
    stamp = format_datetime(modified.replace(microsecond=0), usegmt=True)
    headers = {"ETag": etag, "Last-Modified": stamp, "Accept-Ranges": "bytes" if ranges else "none"}
    if not ranges:
        asked = Validators(if_match=asked.if_match, if_none_match=asked.if_none_match)
    verdict = judge(asked, etag=etag, modified=stamp, size=size)
    if isinstance(verdict, Part):
        headers["Content-Range"] = f"bytes {verdict.first}-{verdict.last}/{size}"
    elif verdict is Verdict.OUTSIDE:
        headers["Content-Range"] = f"bytes */{size}"
    return verdict, headers


async def send(
    request: web.Request, found: OpenFile, *, modified: datetime, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The file, or the part of it that is asked for; it is closed in any case."""
    with found.file as file:
        verdict, told = judged(validators(request), etag=f'"{found.sha256}"', modified=modified, size=found.size)
        base = {**headers, **told}
        if isinstance(verdict, Verdict) and verdict is not Verdict.WHOLE:
            return web.Response(status=verdict.value, headers=base)
        part = verdict if isinstance(verdict, Part) else Part(0, found.size - 1)
        status = HTTPStatus.PARTIAL_CONTENT if isinstance(verdict, Part) else HTTPStatus.OK
        response = web.StreamResponse(status=status, headers=base)
        response.content_length = part.size
        await response.prepare(request)
        if request.method != "HEAD" and part.size:
            await _copy(request, response, file, part)
        await response.write_eof()
        return response


async def _copy(request: web.Request, response: web.StreamResponse, file: BinaryIO, part: Part) -> None:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    try:
        sent = await asyncio.get_running_loop().sendfile(transport, file, part.first, part.size, fallback=False)
    except (NotImplementedError, asyncio.SendfileNotAvailableError):
        await _read_and_write(response, file, part)
    else:
        if sent != part.size:
            # The file became shorter; who waits for the rest must not take what comes next for it.
            transport.abort()
            raise ConnectionResetError


async def _read_and_write(response: web.StreamResponse, file: BinaryIO, part: Part) -> None:
    file.seek(part.first)
    left = part.size
    while left:
        block = await to_thread.run_sync(partial(file.read, min(left, _CHUNK)))
        if not block:
            raise ConnectionResetError
        left -= len(block)
        await response.write(block)

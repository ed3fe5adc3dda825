"""An answer that carries a file: ranges and conditions, sendfile, and the ways in which it can go wrong."""

from __future__ import annotations

import asyncio
import fcntl
import re
import socket
import struct
import termios
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from artifact_sync.simulator.content import Content
from artifact_sync.simulator.faults import Action, Corrupt, Cut, Stall, Trickle

__all__ = ["HungUp", "Served", "conditional", "hang_up"]

_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Served(web.StreamResponse):
    """``count`` bytes of a content from ``offset``; ``harm`` is what happens to them on the way."""

    def __init__(
        self,
        content: Content,
        *,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        offset: int = 0,
        count: int | None = None,
        chunked: bool = False,
    ) -> None:
        super().__init__(status=status, headers=headers)
        self.content = content
        self.offset = offset
        self.count = content.size - offset if count is None else count
        self.harm: Action | None = None
        self.announced = not chunked

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers and the bytes."""
        if self.prepared:
            return await super().prepare(request)
        if self.announced:
            self.content_length = self.count
        elif request.method != "HEAD":
            self.enable_chunked_encoding()
        writer = await super().prepare(request)
        if request.method != "HEAD":
            await self._send(request)
        return writer

    async def _send(self, request: web.BaseRequest) -> None:
        file = self.content.file() if self.announced and self.harm is None and self.count else None
        if file is not None and request.transport is not None:
            with file:
                loop = asyncio.get_running_loop()
                await loop.sendfile(request.transport, file, self.offset, self.count)
            return
        sent = 0
        while sent < self.count:
            chunk = self._next(sent)
            await self.write(chunk)
            sent += len(chunk)
            if isinstance(self.harm, Trickle):
                await asyncio.sleep(self.harm.seconds)
            if isinstance(self.harm, Stall) and sent == self.harm.after:
                await asyncio.sleep(self.harm.seconds)
            if isinstance(self.harm, Cut) and sent >= self.harm.after:
                break
        if isinstance(self.harm, Cut) and sent < self.count:
            await hang_up(request, reset=self.harm.reset)
            raise ConnectionResetError

    def _next(self, sent: int) -> bytes:
        size = min(_CHUNK, self.count - sent)
        if isinstance(self.harm, Trickle):
            size = min(size, self.harm.size)
        if isinstance(self.harm, Cut | Stall) and self.harm.after is not None and self.harm.after > sent:
            size = min(size, self.harm.after - sent)
        chunk = self.content.read(self.offset + sent, size)
        if isinstance(self.harm, Corrupt) and sent <= self.harm.at < sent + len(chunk):
            at = self.harm.at - sent
            chunk = chunk[:at] + bytes([chunk[at] ^ 0xFF]) + chunk[at + 1 :]
        return chunk


class HungUp(web.StreamResponse):
    """No answer at all."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        self._reset = reset

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Close instead."""
        await hang_up(request, reset=self._reset)
        raise ConnectionResetError


async def hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    """Close the connection once the client was given everything so far: FIN, or RST."""
    transport = request.transport
    if transport is None:
        return
    connection: socket.socket | None = transport.get_extra_info("socket")
    for _ in range(200):
        if transport.is_closing() or connection is None or not _unsent(transport, connection):
            break
        await asyncio.sleep(0.005)
    if not reset:
        transport.close()
        return
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unsent(transport: asyncio.Transport, connection: socket.socket) -> bool:
    # A reset throws away what the kernel has not delivered yet, so it waits for that.
    pending = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return bool(transport.get_write_buffer_size() or pending)


def conditional(
    request: web.Request,
    content: Content,
    *,
    etag: str | None,
    modified: datetime,
    headers: Mapping[str, str],
    chunked: bool = False,
    ranges: bool = True,
) -> web.StreamResponse:
    """What Go's ``http.ServeContent`` (and an object store) makes of conditions and ranges: 200, 206, 304, 412, 416.

    RFC 9110 sections 13 and 14. Several ranges at once are answered with everything, which it allows; without ``ranges``
    any of them is, and said to be in Accept-Ranges (sections 14.2 and 14.3).
    """
    unit = "bytes" if ranges else "none"
    base = {**headers, "Last-Modified": format_datetime(modified, usegmt=True), "Accept-Ranges": unit}
    if etag is not None:
        base["ETag"] = etag
    asked = request.headers
    if (match := asked.get("If-Match")) is not None and match != "*" and etag not in _tags(match):
        return web.Response(status=HTTPStatus.PRECONDITION_FAILED, headers=base)
    if (none := asked.get("If-None-Match")) is not None and (none == "*" or etag in _tags(none)):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=base)
    if (unless := asked.get("If-Range")) is not None and unless not in {etag, base["Last-Modified"]}:
        return Served(content, headers=base, chunked=chunked)
    if (text := asked.get("Range")) is None or "," in text or not ranges:
        return Served(content, headers=base, chunked=chunked)
    span = _span(text, content.size)
    if span is None:
        base["Content-Range"] = f"bytes */{content.size}"
        return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=base)
    first, last = span
    base["Content-Range"] = f"bytes {first}-{last}/{content.size}"
    return Served(
        content,
        status=HTTPStatus.PARTIAL_CONTENT,
        headers=base,
        offset=first,
        count=last - first + 1,
        chunked=chunked,
    )


def _tags(text: str) -> set[str]:
    return {tag.strip() for tag in text.split(",")}


def _span(text: str, size: int) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    return (start, end) if start <= end and start < size else None

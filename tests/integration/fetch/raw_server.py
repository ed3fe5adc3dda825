"""An HTTP server of raw bytes: it answers each request with a script, right or wrong to the byte."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SHUT_WR, SO_LINGER, SOL_SOCKET


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def begins(self) -> int:
        """The first byte of the range asked for; 0 without one."""
        asked = self.headers.get("range", "bytes=0-")
        return int(asked.removeprefix("bytes=").partition("-")[0])


class Reset:
    """Break the connection with RST instead of FIN."""


class Cut:
    """End the connection beneath TLS: FIN, without the close_notify that says that this was all (RFC 8446 section 6.1)."""


class Stay:
    """Leave the connection open and wait for the next request on it."""


#: Bytes to send, seconds to wait, or how the connection goes on.
Step = bytes | float | Reset | Cut | Stay
Script = Callable[[Request], Sequence[Step]]


def script(steps: Sequence[Step]) -> Script:
    """The same answer to every request."""
    return lambda _: steps


def head(status: str, *headers: str, version: str = "HTTP/1.1") -> bytes:
    """A status line and headers."""
    return "\r\n".join([f"{version} {status}", *headers, "", ""]).encode()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A well-formed answer."""
    return head(status, f"Content-Length: {len(body)}", *headers) + body


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body; b"" is the last one."""
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


@dataclass
class RawServer:
    """Plays one script for each request, the last one again and again."""

    scripts: list[Script]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        request = Request(method=method, target=target, headers=headers)
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        for step in script(request):
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Reset):
                # What was sent has to arrive first: a reset throws away what the peer has not read.
                await asyncio.sleep(0.2)
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif isinstance(step, Cut):
                writer.get_extra_info("socket").shutdown(SHUT_WR)
                return False
            elif isinstance(step, Stay):
                return True
            else:
                await asyncio.sleep(step)
        return False


@asynccontextmanager
async def raw_server(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """A server on a free port of the loopback."""
    server = RawServer(list(scripts))
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()

"""Connections that cannot be used to hold the daemon up: how many there are, and how long each may take for what.

aiohttp waits for a request's headers as long as for the next request, and for a reader without an end. The work itself is
done by its RequestHandler; this one counts, and looks at a connection every few seconds.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from aiohttp import web

__all__ = ["Gate", "GuardedHandler", "Limits"]

log = structlog.get_logger()

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
    b'Content-Length: 37\r\nConnection: close\r\n\r\n{"message":"503 Service Unavailable"}'
)
#: Where tcpi_bytes_acked stands in Linux's struct tcp_info (include/uapi/linux/tcp.h, since 4.1).
_ACKED_AT, _INFO = 120, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, bytes and numbers."""

    #: Between two requests of a connection; for the headers of one; for its body; without a byte taken by who reads.
    keepalive: float = 15.0
    headers: float = 10.0
    body: float = 10.0
    stalled: float = 10.0
    #: Connections at the same time, in all and from one address. Behind a proxy on this machine they all have one.
    connections: int = 512
    per_address: int = 256
    largest_body: int = 64 << 10


class Gate:
    """How many connections there are."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._addresses: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether one more may come; then it must ``leave``."""
        limits = self.limits
        if self._addresses.total() >= limits.connections or self._addresses[address] >= limits.per_address:
            return False
        self._addresses[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One has gone."""
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


class GuardedHandler(web.RequestHandler):
    """aiohttp's handler of one connection, with an end to every wait for the other side."""

    __slots__ = ("_address", "_gate", "_look", "_progress", "_still_since", "_unasked_since")

    def __init__(self, server: web.Server, gate: Gate, **options: Any) -> None:
        super().__init__(server, **options)
        self._gate = gate
        self._address: str | None = None
        self._look: asyncio.TimerHandle | None = None
        #: Since when a request's headers are awaited; None while there is one.
        self._unasked_since: float | None = None
        #: What was sent when it was looked last, and since when it is the same.
        self._progress: tuple[int, ...] = ()
        self._still_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or say that there are too many."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if not self._gate.enter(address):
            log.warning("http.too_many_connections", address=address)
            stream = cast(asyncio.Transport, transport)
            stream.write(_FULL)
            stream.close()
            # aiohttp never hears of it: nothing of the connection is kept.
            self._manager = None
            return
        self._address = address
        super().connection_made(transport)
        self._unasked_since = self._still_since = self._loop.time()
        self._look_later()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._address is not None:
            self._gate.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and see whether a request's headers are complete."""
        if self._manager is None:
            return
        super().data_received(data)
        if self._messages or self._current_request is not None:
            self._unasked_since = None
        elif self._unasked_since is None and data:
            self._unasked_since = self._loop.time()

    def _look_later(self) -> None:
        limits = self._gate.limits
        self._look = self._loop.call_later(min(limits.headers, limits.stalled) / 4, self._look_now)

    def _look_now(self) -> None:
        now, limits = self._loop.time(), self._gate.limits
        asked = self._unasked_since is None or self._request_in_progress
        if not asked and now - (self._unasked_since or now) >= limits.headers:
            self._end("headers")
            return
        progress = self._sent()
        if progress is None or progress != self._progress:
            self._progress, self._still_since = progress or (), now
        elif now - self._still_since >= limits.stalled:
            self._end("reader")
            return
        self._look_later()

    def _sent(self) -> tuple[int, ...] | None:
        """What changes as long as the other side takes bytes; None where it has none to take."""
        transport = self.transport
        if transport is None:
            return None
        waiting = transport.get_write_buffer_size()
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return (waiting,) if waiting else None
        queued = acked = 0
        with suppress(OSError):
            queued = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        with suppress(OSError, struct.error):
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
            acked = struct.unpack_from("Q", info, _ACKED_AT)[0]
        return (waiting, queued, acked) if waiting or queued else None

    def _end(self, waited_for: str) -> None:
        log.info("http.slow_client", address=self._address, waited_for=waited_for)
        transport = self.transport
        if self._task_handler is not None:
            # First: a sendfile that waits takes its socket out of the loop as long as that is open.
            self._task_handler.cancel()
        if transport is not None:
            # Not ``close``, which waits until everything was taken.
            self._loop.call_soon(transport.abort)

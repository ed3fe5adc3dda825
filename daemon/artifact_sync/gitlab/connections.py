"""Connections that are used again, and when they must not be.

Bytes that a server sends behind the end of an answer would be taken for the answer to the next request (RFC 9112 section 9.2).
So a connection is used again only where nobody can doubt where its last answer ended, and where nothing came since.
"""

from __future__ import annotations

import select
from typing import Self
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

__all__ = ["Carried", "Keeping"]


class Carried(aiohttp.ClientResponse):
    """An answer that knows what carried it, also when it is at its end and the connection was given back."""

    _carrier: ResponseHandler | None = None

    async def start(self, connection: Connection) -> Self:
        """See aiohttp."""
        self._carrier = connection.protocol
        await super().start(connection)
        return self

    def last(self) -> None:
        """Let this be the last answer on its connection."""
        if self._carrier is not None:
            self._carrier.force_close()
            if self.connection is None:
                self._carrier.close()


class Keeping(aiohttp.TCPConnector):
    """Hands out a connection again only if nothing came on it while nothing was asked for: neither bytes nor its end."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # passed on as they are
        self._known: WeakSet[ResponseHandler] = WeakSet()

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109 - its name in aiohttp
        """See aiohttp."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._known:
                break
            if not (protocol.should_close or _readable(connection)):
                return connection
            connection.close()
        if protocol is not None:
            self._known.add(protocol)
        return connection


def _readable(connection: Connection) -> bool:
    """Whether there is something to read that the event loop has not seen yet."""
    socket = connection.transport.get_extra_info("socket") if connection.transport else None
    if socket is None or socket.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))

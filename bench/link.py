"""A slow link: `python -m bench.link --delay SECONDS --rate BYTES LISTEN:TARGET...`, ports of the loopback address.

What is written arrives after the delay, so a round trip takes two of them; a new connection takes a round trip before its
first byte goes (TCP's handshake). Each connection has the rate for itself, in each direction. What it does not imitate is
TCP's slow start, loss, and a limit of all connections together.
"""

from __future__ import annotations

import argparse
import asyncio
from asyncio import Queue, StreamReader, StreamWriter
from contextlib import AsyncExitStack
from dataclasses import dataclass

_CHUNK = 64 << 10
#: Chunks under way in one direction: at 20 MiB/s a delay of 25 ms holds 8 of them.
_UNDER_WAY = 256
#: What a timer overslept may be caught up.
_LATE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Seconds that a byte takes, and bytes a second of a connection."""

    delay: float
    rate: float

    async def serve(self, listen: int, target: int) -> asyncio.Server:
        """Pass connections on."""

        async def connected(reader: StreamReader, writer: StreamWriter) -> None:
            opened = asyncio.get_running_loop().time()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            ready = opened + 2 * self.delay
            try:
                async with asyncio.TaskGroup() as group:
                    for source, sink in ((reader, far_writer), (far_reader, writer)):
                        under_way: Queue[tuple[float, bytes]] = Queue(_UNDER_WAY)
                        group.create_task(self._enter(source, under_way, ready))
                        group.create_task(_leave(under_way, sink))
            except* ConnectionError:
                # One end is gone, so the other has nothing to wait for.
                for end in (writer, far_writer):
                    end.transport.abort()
            finally:
                for end in (writer, far_writer):
                    end.close()

        return await asyncio.start_server(connected, "127.0.0.1", listen)

    async def _enter(self, reader: StreamReader, under_way: Queue[tuple[float, bytes]], ready: float) -> None:
        loop = asyncio.get_running_loop()
        free = 0.0
        while True:
            data = await reader.read(_CHUNK)
            free = max(free, loop.time() - _LATE, ready) + len(data) / self.rate
            await under_way.put((free + self.delay, data))
            if not data:
                return
            await asyncio.sleep(free - loop.time())


async def _leave(under_way: Queue[tuple[float, bytes]], writer: StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await under_way.get()
        await asyncio.sleep(due - loop.time())
        if not data:
            # TLS has no half-closed connections, and HTTP needs none.
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


async def _serve(link: Link, ways: list[str]) -> None:
    async with AsyncExitStack() as stack:
        for way in ways:
            listen, _, target = way.partition(":")
            await stack.enter_async_context(await link.serve(int(listen), int(target)))
        await asyncio.Event().wait()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.link")
    parser.add_argument("--delay", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("ways", nargs="+")
    options = parser.parse_args()
    asyncio.run(_serve(Link(delay=options.delay, rate=options.rate), options.ways))


if __name__ == "__main__":
    main()

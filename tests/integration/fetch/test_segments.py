"""One archive over several connections, over real HTTP, files and SQLite: the same bytes, and nothing lost where it fails."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from artifact_sync.core.model import Item
from artifact_sync.errors import ArtifactSyncError
from tests.integration.fetch.fetch_harness import harness
from tests.zips import real_zip

MIB = 1 << 20
ROOT = Path(__file__).parents[3]
NOISE = random.Random(13).randbytes(16 * MIB)
ZIP = real_zip({"noise.bin": NOISE}, compression=0)
OTHER = real_zip({"noise.bin": NOISE[::-1]}, compression=0)
SIZE = len(ZIP)
ARCHIVE = Item(kind="archive", name="artifacts.zip", size=SIZE)
ETAG = '"v1"'

#: (number of the request from 1 on, first byte, byte behind the last) -> what happens instead of the right answer.
Trouble = Callable[[int, int, int], "Wrong | None"]


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """An answer that is not the one asked for."""

    status: int = 206
    shift: int = 0
    etag: str = ETAG
    cut: int | None = None
    everything: bool = False
    data: bytes | None = None
    #: Whether If-Range is read.
    careful: bool = True


@dataclass
class SlowServer:
    """Sends a few MiB a second on each connection, so that one is the bottleneck."""

    trouble: Trouble
    data: bytes = ZIP
    rate: float = 4 * MIB
    asked: list[tuple[int, int]] = field(default_factory=list)
    sent: int = 0
    #: Told when so much was sent.
    mark: int = 9 * MIB
    marked: asyncio.Event = field(default_factory=asyncio.Event)
    active: int = 0
    most: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        size = len(self.data)
        text = request.headers.get("Range", "bytes=0-").removeprefix("bytes=")
        first, _, last = text.partition("-")
        start, stop = int(first), int(last) + 1 if last else size
        self.asked.append((start, stop))
        wrong = self.trouble(len(self.asked), start, stop) or Wrong()
        if wrong.status >= 400:
            return web.Response(status=wrong.status, text="no")
        ranged = "Range" in request.headers and not wrong.everything
        if ranged and request.headers.get("If-Range") not in {None, wrong.etag} and wrong.careful:
            ranged = False
        if not ranged:
            start, stop = 0, size
        headers = {"ETag": wrong.etag, "Content-Length": str(stop - start - wrong.shift)}
        if ranged:
            headers["Content-Range"] = f"bytes {start + wrong.shift}-{stop - 1}/{size}"
        response = web.StreamResponse(status=206 if ranged else 200, headers=headers)
        await response.prepare(request)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            with suppress(ConnectionError):
                await self._send(
                    response, memoryview(wrong.data or self.data)[start + wrong.shift : stop], wrong.cut, request
                )
        finally:
            self.active -= 1
        return response

    async def _send(
        self, response: web.StreamResponse, data: memoryview, cut: int | None, request: web.Request
    ) -> None:
        step = 64 << 10
        for at in range(0, len(data), step):
            if cut is not None and at >= cut:
                assert request.transport is not None
                request.transport.abort()
                return
            await response.write(data[at : at + step])
            self.sent += len(data[at : at + step])
            if self.sent >= self.mark:
                self.marked.set()
            await asyncio.sleep(step / self.rate)


@asynccontextmanager
async def slow_server(trouble: Trouble = lambda *_: None, **changes: Any) -> AsyncIterator[SlowServer]:
    server = SlowServer(trouble, **changes)
    app = web.Application()
    app.router.add_get("/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


POLICY: dict[str, Any] = {"segment_above": MIB, "batch": MIB}


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_the_bytes_are_the_same_over_any_number_of_connections(tmp_path, connections):
    """Byte for byte, with the checksum of the one file, and never more connections than were asked for and one opening."""
    async with (
        slow_server() as server,
        harness(tmp_path, server.url, ARCHIVE, segments=connections, **POLICY) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert staged.size == SIZE
        assert (server.most > 1) == (connections > 1)
        assert server.most <= connections + 1 + (connections > 1)


def ignoring(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(everything=True)


def refusing_the_third(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(status=429) if number == 3 else None


def failing_later(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(status=503) if number in {4, 5} else None


def shifting(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(shift=1) if number == 3 else None


def cutting(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(cut=MIB) if number in {3, 4} else None


def renamed_once(number: int, start: int, stop: int) -> Wrong | None:
    return Wrong(etag='"v2"', data=OTHER, careful=False) if number == 4 else None


@pytest.mark.parametrize(
    "trouble",
    [refusing_the_third, failing_later, shifting, cutting, renamed_once],
)
async def test_what_goes_wrong_with_one_piece_costs_no_bytes_of_the_others(tmp_path, trouble):
    """The pieces that came stay, and the rest is brought: the first connection's rest apart, nothing is sent twice."""
    async with (
        slow_server(trouble) as server,
        harness(tmp_path, server.url, ARCHIVE, segments=4, silence=5.0, **POLICY) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        begins = [start for start, _ in server.asked]
        assert begins.count(0) == 1
        assert len(begins) > 3


async def test_a_server_without_ranges_goes_on_with_its_one_connection(tmp_path):
    """The range is tried once, beside the download, which goes on as if nothing had been."""
    async with (
        slow_server(ignoring) as server,
        harness(tmp_path, server.url, ARCHIVE, segments=4, **POLICY) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert len(server.asked) == 2
        assert server.asked[1][0] > 0


async def test_another_entity_in_the_middle_is_never_spliced(tmp_path):
    """From some moment on the server has other bytes under another tag: the result is the one or the other, whole."""

    def changing(number: int, start: int, stop: int) -> Wrong | None:
        return Wrong(etag='"v2"', data=OTHER) if number > 3 else None

    async with (
        slow_server(changing) as server,
        harness(tmp_path, server.url, ARCHIVE, segments=4, **POLICY) as bench,
    ):
        try:
            staged = await bench.fetch()
        except ArtifactSyncError:
            staged = await bench.fetch()

        assert bench.bytes_of(staged) == OTHER
        assert staged.etag == '"v2"'


async def test_a_stop_in_the_middle_keeps_the_prefix(tmp_path):
    """What is remembered is a prefix without a gap; the next process asks for the rest from its end on."""
    async with slow_server() as server:
        async with harness(tmp_path, server.url, ARCHIVE, segments=4, **POLICY) as bench:
            task = asyncio.ensure_future(bench.fetch())
            await server.marked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            record = await bench.record()
            assert record is not None
            (part,) = bench.staging.glob("*.part")
            assert part.read_bytes()[: record.size] == ZIP[: record.size]
        asked: Sequence[tuple[int, int]] = server.asked
        before = len(asked)
        async with harness(tmp_path, server.url, ARCHIVE, segments=4, **POLICY) as bench:
            staged = await bench.fetch()

            assert bench.bytes_of(staged) == ZIP
            assert server.asked[before][0] == record.size


CHILD = """
import asyncio, sys
from pathlib import Path
from artifact_sync.core.model import Item
from tests.integration.fetch.fetch_harness import harness

async def main() -> None:
    item = Item(kind="archive", name="artifacts.zip", size=int(sys.argv[3]))
    async with harness(Path(sys.argv[1]), sys.argv[2], item, segments=4, segment_above=1, batch=1 << 20,
                       checkpoint_least=1 << 19) as bench:
        await bench.fetch()
        # Not ru_maxrss, which a process begins with from the one that started it.
        status = Path("/proc/self/status").read_text()
        print(status.partition("VmHWM:")[2].split()[0], flush=True)

asyncio.run(main())
"""


async def test_a_kill_costs_less_than_the_pieces_under_way(tmp_path):
    """SIGKILL in the middle: what is moved again is at most a piece of each connection and two checkpoints."""
    async with slow_server() as server:
        server.mark = 14 * MIB
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, str(tmp_path), server.url, str(SIZE), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        await server.marked.wait()
        process.kill()
        await process.wait()
        async with harness(tmp_path, server.url, ARCHIVE, segments=4, **POLICY) as bench:
            record = await bench.record()
            staged = await bench.fetch()

            assert bench.bytes_of(staged) == ZIP
            assert record is not None
            assert record.size > 14 * MIB - 4 * 4 * MIB
            assert [start for start, _ in server.asked].count(0) == 1


async def test_memory_does_not_grow_with_the_archive(tmp_path):
    """A quarter of a gibibyte over four connections in a process of at most 80 MiB."""
    data = real_zip({"zeros": bytes(256 * MIB)}, compression=0)
    async with slow_server(data=data, rate=24 * MIB) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CHILD,
            str(tmp_path),
            server.url,
            str(len(data)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()

        assert process.returncode == 0
        assert server.most > 2
        assert int(out.split()[-1]) <= 80 * 1024

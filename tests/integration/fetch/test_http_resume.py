"""Downloads that break are continued with exact ranges or started over, never spliced; over real HTTP, files and SQLite."""

from __future__ import annotations

import random

import anyio
import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import Transient
from tests.integration.fetch.fetch_harness import harness
from tests.integration.fetch.raw_server import Request, Reset, Script, Step, head, raw_server, whole
from tests.zips import real_zip

NOISE = random.Random(9).randbytes(500_000)
ZIP = real_zip({"noise.bin": NOISE})
OTHER = real_zip({"noise.bin": NOISE[::-1]})
SIZE = len(ZIP)
ARCHIVE = Item(kind="archive", name="artifacts.zip", size=SIZE)
ETAG = '"v1"'


def ranged(data: bytes, etag: str = ETAG) -> Script:
    """A server that honours Range under If-Range."""

    def answer(request: Request) -> list[Step]:
        if "range" not in request.headers or request.headers.get("if-range") != etag:
            return [whole(data, f"ETag: {etag}")]
        begins, last = request.begins, len(data) - 1
        range_of = f"Content-Range: bytes {begins}-{last}/{len(data)}"
        return [whole(data[begins:], range_of, f"ETag: {etag}", status="206 Partial Content")]

    return answer


def cut(data: bytes, at: int, *ending: Step, etag: str = ETAG) -> Script:
    """A server that breaks off at the byte ``at``, wherever the answer begins, once its bytes had time to be read."""

    def answer(request: Request) -> list[Step]:
        begins = request.begins
        if not begins:
            return [head("200 OK", f"Content-Length: {len(data)}", f"ETag: {etag}"), data[:at], 0.1, *ending]
        lines = (f"Content-Length: {len(data) - begins}", f"Content-Range: bytes {begins}-{len(data) - 1}/{len(data)}")
        return [head("206 Partial Content", *lines, f"ETag: {etag}"), data[begins:at], 0.1, *ending]

    return answer


@pytest.mark.parametrize("ending", [(), (Reset(),)], ids=["FIN", "RST"])
@pytest.mark.parametrize("at", [512, 65_535, 65_536, 300_001, SIZE - 1])
async def test_a_broken_download_goes_on_with_the_exact_range(tmp_path, at, ending):
    """The rest is asked for from the byte where it broke, under If-Range; the bytes are those of one download."""
    scripts = (cut(ZIP, at, *ending), ranged(ZIP))
    async with raw_server(*scripts) as server, harness(tmp_path, server.url, ARCHIVE) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        asked = server.requests[1].headers
        assert (asked["range"].removesuffix(str(SIZE - 1)), asked["if-range"]) == (f"bytes={at}-", ETAG)


async def test_several_cuts_in_one_download(tmp_path):
    """Each connection brings a piece."""
    scripts = [cut(ZIP, at) for at in (100_000, 200_000, 400_000)]
    async with raw_server(*scripts, ranged(ZIP)) as server, harness(tmp_path, server.url, ARCHIVE) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert [request.begins for request in server.requests] == [0, 100_000, 200_000, 400_000]


def partial(content_range: str | None, body: bytes, *headers: str) -> Script:
    """A 206 with this Content-Range."""
    lines = [f"Content-Range: {content_range}"] if content_range else []
    return lambda _: [whole(body, *lines, *headers, status="206 Partial Content")]


AT = 200_000
TAG = f"ETag: {ETAG}"
UNUSABLE = {
    "200 with everything": lambda _: [whole(ZIP, TAG)],
    "another ETag, whole": ranged(ZIP, '"v2"'),
    "another start": partial(f"bytes {AT - 1}-{SIZE - 1}/{SIZE}", ZIP[AT - 1 :], TAG),
    "from 0": partial(f"bytes 0-{SIZE - 1}/{SIZE}", ZIP, TAG),
    "another end": partial(f"bytes {AT}-{SIZE - 2}/{SIZE}", ZIP[AT:-1], TAG),
    "another total": partial(f"bytes {AT}-{SIZE}/{SIZE + 1}", ZIP[AT:] + b"x", TAG),
    "total not told": partial(f"bytes {AT}-{SIZE - 1}/*", ZIP[AT:], TAG),
    "another unit": partial(f"lines {AT}-{SIZE - 1}/{SIZE}", ZIP[AT:], TAG),
    "no Content-Range": partial(None, ZIP[AT:], TAG),
    "multipart": partial(None, ZIP[AT:], TAG, "Content-Type: multipart/byteranges; boundary=x"),
    "another ETag on the range": partial(f"bytes {AT}-{SIZE - 1}/{SIZE}", OTHER[AT:], 'ETag: "v2"'),
    "416": lambda _: [whole(b"", f"Content-Range: bytes */{SIZE}", status="416 Range Not Satisfiable")],
}


@pytest.mark.parametrize("name", list(UNUSABLE))
async def test_an_unusable_answer_to_a_range_starts_over(tmp_path, name):
    """Whatever is not exactly the rest of the same entity is not appended; the end has the right bytes."""
    scripts = (cut(ZIP, AT), UNUSABLE[name], ranged(ZIP, '"v2"'))
    async with raw_server(*scripts) as server, harness(tmp_path, server.url, ARCHIVE) as bench:
        for _ in range(3):
            try:
                staged = await bench.fetch()
            except Transient:
                continue
            break

        assert bench.bytes_of(staged) == ZIP
        assert server.requests[1].begins == AT


async def test_a_stop_leaves_what_the_next_process_continues(tmp_path):
    """Cancelled in the middle: a durable part and its record; another process asks for the rest alone."""
    stalling = cut(ZIP, 250_000, 30.0)
    async with raw_server(stalling, ranged(ZIP)) as server:
        async with harness(tmp_path, server.url, ARCHIVE, silence=25.0) as bench:
            with anyio.move_on_after(1.0):
                await bench.fetch()
            record = await bench.record()
            assert record is not None
            assert bench.parts == {f"{bench.queued.id}-0.part": record.size}
            assert 0 < record.size <= 250_000

        async with harness(tmp_path, server.url, ARCHIVE) as bench:
            staged = await bench.fetch()
            assert bench.bytes_of(staged) == ZIP

        assert [request.begins for request in server.requests] == [0, record.size]


async def test_another_archive_meanwhile_starts_over(tmp_path):
    """Between two processes the server's file changed: nothing of the old one is left."""
    other = Item(kind="archive", name="artifacts.zip")
    async with raw_server(cut(OTHER, 250_000, 30.0), ranged(ZIP, '"v2"')) as server:
        async with harness(tmp_path, server.url, other, silence=25.0) as bench:
            with anyio.move_on_after(1.0):
                await bench.fetch()
        async with harness(tmp_path, server.url, other) as bench:
            staged = await bench.fetch()

            assert bench.bytes_of(staged) == ZIP
            assert server.requests[1].begins > 0

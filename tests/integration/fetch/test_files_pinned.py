"""Ranges are put together only where they are known to be of one archive; else it is read as a whole."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import Transient
from tests.integration.fetch.fetch_harness import harness
from tests.integration.fetch.raw_server import Request, Script, Step, chunk, head, raw_server, whole
from tests.zips import real_zip

FILES = Item(kind="files", name="files:a/*", path="a/*")
OLD, NEW = random.Random(1).randbytes(200_000), random.Random(2).randbytes(200_000)
PADDING = random.Random(3).randbytes(3_000_000)
ARCHIVE = real_zip({"pad": PADDING, "a/1": OLD}, compression=0)
CHANGED = real_zip({"pad": PADDING, "a/1": NEW}, compression=0)
LONGER = real_zip({"pad": PADDING, "a/1": NEW, "z": b"z"}, compression=0)
V1, V2 = 'ETag: "v1"', 'ETag: "v2"'
SENT = datetime.now(UTC)


def ranged(data: bytes, *headers: str) -> Script:
    """A server that gives every range that it is asked for, whatever the condition."""

    def answer(request: Request) -> list[Step]:
        if "range" not in request.headers:
            return [whole(data, *headers)]
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        start = int(first) if first else len(data) - int(last)
        stop = int(last) + 1 if first and last else len(data)
        lines = (f"Content-Range: bytes {start}-{stop - 1}/{len(data)}", *headers)
        return [whole(data[start:stop], *lines, status="206 Partial Content")]

    return answer


def all_of(data: bytes, *headers: str) -> Script:
    """A server that sends everything."""
    return lambda _: [whole(data, *headers)]


CHANGES = {
    "200 with the new archive": (all_of(CHANGED, V2), CHANGED, NEW),
    "206 of the new archive": (ranged(CHANGED, V2), CHANGED, NEW),
    "206 of the new archive under the old tag": (ranged(CHANGED, V1), CHANGED, NEW),
    "206 of a longer archive under the old tag": (ranged(LONGER, V1), LONGER, NEW),
    "206 without a tag": (ranged(CHANGED), CHANGED, NEW),
    "206 of other bytes": (
        lambda _: [whole(ARCHIVE[:9], f"Content-Range: bytes 0-8/{len(ARCHIVE)}", V1, status="206 Partial Content")],
        ARCHIVE,
        OLD,
    ),
    "416": (lambda _: [whole(b"", V1, status="416 Range Not Satisfiable")], ARCHIVE, OLD),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_archive_that_changes_between_ranges_is_never_spliced(tmp_path, change):
    """The directory of one and the member of another: the whole of the second is read, and the file is out of that."""
    second, now, content = CHANGES[change]
    scripts = (ranged(ARCHIVE, V1), second, all_of(now, V2))
    async with raw_server(*scripts) as server, harness(tmp_path, server.url, FILES) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == content
        assert [("range" in request.headers) for request in server.requests] == [True, True, False]
        assert server.requests[1].headers["if-range"] == '"v1"'


def dated(seconds: float) -> tuple[str, str]:
    """Headers of an answer that was sent so long after the file had changed."""
    return (
        f"Date: {format_datetime(SENT, usegmt=True)}",
        f"Last-Modified: {format_datetime(SENT - timedelta(seconds=seconds), usegmt=True)}",
    )


VALIDATORS = {
    "a strong tag": ((V1,), '"v1"'),
    "a date well in the past": (dated(60), format_datetime(SENT - timedelta(seconds=60), usegmt=True)),
    "a date of just now": (dated(59), None),
    "a date to come": (dated(-60), None),
    "a weak tag": (('ETag: W/"v1"',), None),
    "a weak tag and a good date": (('ETag: W/"v1"', *dated(60)), None),
    "nothing": ((), None),
}


@pytest.mark.parametrize("validator", VALIDATORS)
async def test_ranges_are_asked_for_under_a_strong_validator_or_not_at_all(tmp_path, validator):
    """RFC 9110 sections 8.8.2.2 and 13.1.5: without one, two ranges cannot be known to belong together."""
    headers, condition = VALIDATORS[validator]
    async with raw_server(ranged(ARCHIVE, *headers)) as server, harness(tmp_path, server.url, FILES) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == OLD
        second = server.requests[1].headers
        assert (second.get("if-range"), "range" in second) == (condition, condition is not None)


def chunked(data: bytes, *, extra: bytes = b"", cut: bool = False) -> Script:
    """A server that does not say how many bytes a range has, and sends more, or fewer."""

    def answer(request: Request) -> list[Step]:
        (step,) = ranged(data, V1)(request)
        assert isinstance(step, bytes)
        lines, body = step.split(b"\r\n\r\n", 1)
        kept = [line for line in lines.decode().split("\r\n") if not line.startswith("Content-Length")]
        start = head(kept[0].removeprefix("HTTP/1.1 "), *kept[1:], "Transfer-Encoding: chunked")
        sent = body[:-1] if cut else body + extra
        return [start, chunk(sent), chunk(b"")]

    return answer


async def test_a_chunked_range_is_counted(tmp_path):
    """Without a length, exactly as many bytes must come as the range has."""
    async with raw_server(chunked(ARCHIVE)) as server, harness(tmp_path, server.url, FILES) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == OLD
        assert len(server.requests) == 2


async def test_a_range_with_more_bytes_than_it_says_is_not_believed(tmp_path):
    """The archive is read as a whole then."""
    scripts = (ranged(ARCHIVE, V1), chunked(ARCHIVE, extra=b"!" * 1000), all_of(ARCHIVE, V1))
    async with raw_server(*scripts) as server, harness(tmp_path, server.url, FILES) as bench:
        assert bench.bytes_of(await bench.fetch()) == OLD
        assert len(server.requests) == 3


async def test_a_range_with_fewer_bytes_than_it_says_is_tried_again(tmp_path):
    """What is missing is asked for, as often as a broken download is taken up."""
    scripts = (ranged(ARCHIVE, V1), chunked(ARCHIVE, cut=True), ranged(ARCHIVE, V1))
    async with raw_server(*scripts) as server, harness(tmp_path, server.url, FILES) as bench:
        assert bench.bytes_of(await bench.fetch()) == OLD
        assert len(server.requests) == 3

    async with raw_server(chunked(ARCHIVE, cut=True)) as server, harness(tmp_path / "2", server.url, FILES) as bench:
        with pytest.raises(Transient, match="16383 bytes of 16384 came"):
            await bench.fetch()
        assert (len(server.requests), bench.parts) == (1, {})

"""Every way in which a body can be wrong on the wire, through the real client, store and state."""

from __future__ import annotations

import gzip
import hashlib
import random
from itertools import repeat

import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import ArtifactSyncError, Outcome
from tests.integration.fetch.fetch_harness import harness
from tests.integration.fetch.raw_server import Request, Reset, Stay, Step, chunk, head, raw_server, script, whole
from tests.zips import real_zip

NOISE = random.Random(8).randbytes(300_000)
ZIP = real_zip({"noise.bin": NOISE, "dir/": b"", "dir/text.txt": b"text" * 500})
SIZE = len(ZIP)
SHA = hashlib.sha256(ZIP).hexdigest()
ARCHIVE = Item(kind="archive", name="artifacts.zip", size=SIZE)
UNANNOUNCED = Item(kind="archive", name="artifacts.zip")
FILE = Item(kind="file", name="files/a.bin", path="a.bin")

CHUNKED = "Transfer-Encoding: chunked"
LONGER = f"Content-Length: {SIZE + 1000}"
SHORTER = f"Content-Length: {SIZE - 1000}"
LENGTH = f"Content-Length: {SIZE}"
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + b"x" * 900 + b"</body></html>"
GZIPPED = gzip.compress(ZIP)

#: Bytes, an ending or a pause; where none is named the connection is closed.
GOOD = {
    "length": [whole(ZIP)],
    "chunked": [head("200 OK", CHUNKED), chunk(ZIP[:1000]), chunk(ZIP[1000:]), chunk(b"")],
    "many small chunks": [head("200 OK", CHUNKED), *(chunk(ZIP[i : i + 700]) for i in range(0, SIZE, 700)), chunk(b"")],
    "100 Continue, many": [b"HTTP/1.1 100 Continue\r\n\r\n" * 50, whole(ZIP)],
    "sha256 as ETag": [whole(ZIP, f'ETag: "{SHA}"')],
    "identity named": [whole(ZIP, "Content-Encoding: identity")],
}


@pytest.mark.parametrize("steps", [pytest.param(steps, id=name) for name, steps in GOOD.items()])
@pytest.mark.parametrize("item", [ARCHIVE, UNANNOUNCED], ids=["announced", "not announced"])
async def test_a_right_body_arrives(tmp_path, steps, item):
    """Each right way to send an archive gives its bytes."""
    async with raw_server(script(steps)) as server, harness(tmp_path, server.url, item) as bench:
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert (staged.sha256, staged.size) == (SHA, SIZE)


RETRY, CORRUPT, OTHER, REFUSED = Outcome.RETRY_LATER, Outcome.CORRUPT, Outcome.NOT_AN_ARCHIVE, Outcome.REFUSED
#: name: (steps, outcome where the size was announced, outcome where it was not)
WRONG: dict[str, tuple[list[Step], Outcome | None, Outcome | None]] = {
    "Content-Length too long, FIN": ([head("200 OK", LONGER), ZIP, 0.1], CORRUPT, RETRY),
    "cut, FIN": ([head("200 OK", LENGTH), ZIP[:-50_000]], RETRY, RETRY),
    "cut, RST": ([head("200 OK", LENGTH), ZIP[:-50_000], Reset()], RETRY, RETRY),
    "chunked, cut in a chunk": ([head("200 OK", CHUNKED), chunk(ZIP)[:-5000]], RETRY, RETRY),
    "chunked, no last chunk": ([head("200 OK", CHUNKED), chunk(ZIP[:90_000])], RETRY, RETRY),
    "chunked, ended properly but short": ([head("200 OK", CHUNKED), chunk(ZIP[:-9]), chunk(b"")], CORRUPT, CORRUPT),
    "Content-Length too short": ([head("200 OK", SHORTER), ZIP], None, None),
    "Content-Length too short, the rest later": (
        [head("200 OK", SHORTER), ZIP[:-1000], 0.3, ZIP[-1000:]],
        CORRUPT,
        CORRUPT,
    ),
    "two lengths": ([head("200 OK", LENGTH, SHORTER), ZIP], None, None),
    "negative length": ([head("200 OK", "Content-Length: -1"), ZIP], None, None),
    "endless length": ([head("200 OK", f"Content-Length: {10**30}"), ZIP], None, None),
    "length and chunked": ([head("200 OK", LENGTH, CHUNKED), chunk(ZIP), chunk(b"")], None, None),
    "silence": ([head("200 OK", LENGTH), ZIP[:1000], 30.0], RETRY, RETRY),
    "HTML": ([whole(HTML, "Content-Type: text/html")], OTHER, OTHER),
    "HTML without a type": ([whole(HTML)], OTHER, OTHER),
    "JSON": ([whole(b'{"message":"404 Not found"}', "Content-Type: application/json")], OTHER, OTHER),
    "nothing": ([whole(b"")], OTHER, OTHER),
    "204": ([head("204 No Content")], None, None),
    "gzip, valid": ([whole(GZIPPED, "Content-Encoding: gzip")], None, None),
    "gzip, cut, length right": ([whole(GZIPPED[:-900], "Content-Encoding: gzip")], None, None),
    "gzip named, plain zip": ([whole(ZIP, "Content-Encoding: gzip")], None, None),
    "gzip, not named": ([whole(GZIPPED)], OTHER, OTHER),
    "unknown encoding": ([whole(ZIP, "Content-Encoding: rot13")], None, None),
    "one bit wrong": ([whole(ZIP[:999] + bytes([ZIP[999] ^ 4]) + ZIP[1000:])], CORRUPT, CORRUPT),
    "ETag of other bytes": ([whole(ZIP, f'ETag: "{"a" * 64}"')], CORRUPT, CORRUPT),
    "206 not asked for": (
        [whole(ZIP[:-1], f"Content-Range: bytes 0-{SIZE - 2}/{SIZE}", status="206 Partial Content")],
        None,
        None,
    ),
    "a header of 64 KiB": ([whole(ZIP, "X-Long: " + "x" * 65_536)], None, None),
    "500 headers": ([whole(ZIP, *(f"X-{n}: y" for n in range(500)))], None, None),
    "no length, cut": ([head("200 OK", "Connection: close"), ZIP[:-5000]], None, None),
    "HTTP/1.0, cut": ([head("200 OK", version="HTTP/1.0"), ZIP[:-5000]], None, None),
    "no length, RST": ([head("200 OK", "Connection: close"), ZIP[:-5000], Reset()], None, None),
    "closed at once": ([], RETRY, RETRY),
    "no HTTP": ([b"220 ftp.example.com ready\r\n"], None, None),
    "500": ([whole(b"oops", status="500 Internal Server Error")], RETRY, RETRY),
    "502, HTML": ([whole(HTML, status="502 Bad Gateway")], RETRY, RETRY),
}


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "not announced"])
@pytest.mark.parametrize("name", list(WRONG))
async def test_a_wrong_body_is_never_published(tmp_path, name, announced):
    """Each ends with an error of its class, that says something, and with nothing in staging."""
    steps, known, unknown = WRONG[name]
    expected = known if announced else unknown
    item = ARCHIVE if announced else UNANNOUNCED
    async with raw_server(script(steps)) as server, harness(tmp_path, server.url, item) as bench:
        with pytest.raises(ArtifactSyncError) as caught:
            await bench.fetch()

        if expected is None:
            assert caught.value.outcome in {RETRY, CORRUPT, OTHER, REFUSED}
        else:
            assert caught.value.outcome == expected
        assert str(caught.value)
        assert bench.parts == {}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([head("200 OK", "Connection: close"), b"half of it"], id="no length"),
        pytest.param([head("200 OK", version="HTTP/1.0"), b"half of it"], id="HTTP/1.0"),
        pytest.param([head("200 OK", CHUNKED), chunk(b"half of it")], id="no last chunk"),
        pytest.param([head("200 OK", "Content-Length: 20"), b"half of it"], id="cut"),
        pytest.param([whole(HTML, "Content-Type: text/html")], id="login page"),
    ],
)
async def test_a_file_is_taken_only_where_its_end_is_certain(tmp_path, steps):
    """A single file has no structure of its own, so the protocol has to say where it ends."""
    async with raw_server(script(steps)) as server, harness(tmp_path, server.url, FILE) as bench:
        with pytest.raises(ArtifactSyncError):
            await bench.fetch()

        assert bench.parts == {}


async def test_an_endless_body_ends_at_what_was_announced(tmp_path):
    """It begins like the archive and never ends; the disk does not fill."""
    endless = [head("200 OK", CHUNKED), chunk(ZIP), *repeat(chunk(bytes(1 << 20)), 200)]
    async with raw_server(lambda _: endless) as server, harness(tmp_path, server.url, ARCHIVE) as bench:
        with pytest.raises(ArtifactSyncError) as caught:
            await bench.fetch()

        assert caught.value.outcome == CORRUPT
        assert bench.parts == {}


async def test_a_trickle_is_given_up(tmp_path):
    """A byte now and then resets every read timeout, but not the rate."""
    trickle = [head("200 OK", LENGTH), ZIP[:1000], *(step for n in range(400) for step in (0.05, b"x"))]
    async with (
        raw_server(lambda _: trickle) as server,
        harness(tmp_path, server.url, ARCHIVE, min_rate=1024, min_rate_window=1.0) as bench,
    ):
        with pytest.raises(ArtifactSyncError, match="less than 1024 bytes a second") as caught:
            await bench.fetch()

        assert caught.value.outcome == RETRY


async def test_a_second_answer_on_the_connection_is_nobodys(tmp_path):
    """Bytes queued behind an answer are not taken for the answer to the next request."""
    other = real_zip({"other": b"bytes of another artifact"})

    def answer(_: Request) -> list[bytes | float | Reset | Stay]:
        return [whole(ZIP) + whole(other), Stay()]

    async with raw_server(answer) as server, harness(tmp_path, server.url, UNANNOUNCED) as bench:
        first = await bench.fetch()
        assert bench.bytes_of(first) == ZIP
        second = await bench.fetch()
        assert bench.bytes_of(second) == ZIP

"""What a server can do wrong with one answer, row by row, and how a transfer must end that meets it again and again.

What aiohttp makes of each row was measured: several of them look complete to it. The rows stand as raw bytes. A subject that a
row does not name cannot see the fault: a single file of no known size that ends where its Content-Length says is whole.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from artifact_sync.errors import Outcome
from tests.integration.fetch.raw_server import Cut, Reset, Step, chunk, head, whole

__all__ = ["BODIES", "HTML", "JSON", "XML", "Fault"]

PUBLISHED, RETRY, CORRUPT = Outcome.PUBLISHED, Outcome.RETRY_LATER, Outcome.CORRUPT
OTHER, REFUSED, TOO_LARGE = Outcome.NOT_AN_ARCHIVE, Outcome.REFUSED, Outcome.TOO_LARGE

ARCHIVE, UNKNOWN, FILE, SIZED, TRACE = "archive", "archive of no known size", "file", "file of known size", "trace"
#: Of these, no bytes are all there are. GitLab answers 200 with nothing where there is no log.
EMPTY = ("empty archive of known size", "empty file", "no trace")

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + b"x" * 900 + b"</body></html>"
JSON = b'{"message":"404 Not found"}'
XML = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
OK, PLAIN = "200 OK", "Content-Type: application/octet-stream"
CHUNKED, CLOSE = "Transfer-Encoding: chunked", "Connection: close"
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row: ``answer`` makes the steps from the right bytes, ``ends`` has the outcome of each subject that can see it."""

    name: str
    answer: Callable[[bytes], Sequence[Step]]
    ends: Mapping[str, Outcome]
    silence: float = 10.0
    max_size: int | None = None
    tls: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)


def every(outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    """The same outcome for an archive, a file and a trace, and those of others that are named."""
    named = {"archive": ARCHIVE, "unknown": UNKNOWN, "file": FILE, "sized": SIZED, "trace": TRACE}
    return dict.fromkeys((ARCHIVE, FILE, TRACE), outcome) | {named[key]: value for key, value in others.items()}


def proved(outcome: Outcome, *, unknown: Outcome | None = None, sized: Outcome = CORRUPT) -> dict[str, Outcome]:
    """For those that have a size or a structure by which the bytes are known."""
    return {ARCHIVE: outcome, UNKNOWN: unknown or outcome, SIZED: sized}


def row(name: str, answer: Callable[[bytes], Sequence[Step]], ends: Mapping[str, Outcome], **how: Any) -> Fault:
    """A row of the table."""
    return Fault(name=name, answer=answer, ends=ends, **how)


def length(size: int) -> str:
    """The header."""
    return f"Content-Length: {size}"


def some(body: bytes) -> bytes:
    """Most of it."""
    return body[: len(body) * 3 // 4]


def chunks(body: bytes, *, last: bytes = b"0\r\n\r\n") -> bytes:
    """A chunked body."""
    return b"".join(chunk(body[at : at + 1000]) for at in range(0, len(body), 1000)) + last


def chunked(body: bytes, *, last: bytes = b"0\r\n\r\n") -> bytes:
    """A chunked answer."""
    return head(OK, CHUNKED) + chunks(body, last=last)


def whole_only(body: bytes) -> list[Step]:
    """A well-formed answer."""
    return [whole(body)]


def bomb() -> bytes:
    """Gzip data of 300 KiB that unpacks to 300 MiB."""
    return gzip.compress(bytes(MIB)) * 300


LENGTHS = [
    row("Content-Length", lambda b: [whole(b)], every(PUBLISHED, unknown=PUBLISHED, sized=PUBLISHED)),
    row(
        "Content-Length too long, FIN",
        lambda b: [head(OK, length(len(b) + 900)), b, 0.1],
        every(RETRY, archive=CORRUPT, unknown=RETRY, sized=CORRUPT),
    ),
    row(
        "Content-Length too long, RST",
        lambda b: [head(OK, length(len(b) + 900)), b, Reset()],
        every(RETRY, archive=CORRUPT, unknown=RETRY, sized=CORRUPT),
    ),
    row("cut, FIN", lambda b: [head(OK, length(len(b))), some(b)], every(RETRY, unknown=RETRY, sized=RETRY)),
    row("cut, RST", lambda b: [head(OK, length(len(b))), some(b), Reset()], every(RETRY, unknown=RETRY, sized=RETRY)),
    row("cut, TLS without close_notify", lambda b: [head(OK, length(len(b))), some(b), Cut()], every(RETRY), tls=True),
    row(
        "cut, TLS with close_notify",
        lambda b: [head(OK, length(len(b))), some(b)],
        every(RETRY, unknown=RETRY, sized=RETRY),
        tls=True,
    ),
    row("cut behind the head", lambda b: [head(OK, length(len(b)))], every(RETRY)),
    row("Content-Length too short, the rest at once", lambda b: [head(OK, length(len(b) - 900)) + b], every(RETRY)),
    row(
        "Content-Length too short, the rest later",
        lambda b: [head(OK, length(len(b) - 900)), b[:-900], 0.1, b[-900:]],
        proved(CORRUPT),
    ),
    row(
        "length and chunked",
        lambda b: [head(OK, length(len(b)), CHUNKED), chunks(b)],
        every(RETRY),
    ),
    row("two lengths", lambda b: [head(OK, length(len(b)), length(len(b) - 9)), b], every(RETRY)),
    row("length -1", lambda b: [head(OK, length(-1)), b], every(RETRY)),
    row("length 10^30", lambda b: [head(OK, length(10**30)), b], every(RETRY)),
    row("length not a number", lambda b: [head(OK, "Content-Length: many"), b], every(RETRY)),
]

CHUNKS = [
    row("chunked", lambda b: [chunked(b)], every(PUBLISHED, unknown=PUBLISHED, sized=PUBLISHED)),
    row("chunked, cut in a chunk, FIN", lambda b: [chunked(b, last=b"")[:-500]], every(RETRY)),
    row("chunked, cut in a chunk, RST", lambda b: [chunked(b, last=b"")[:-500], Reset()], every(RETRY)),
    row("chunked, cut in a chunk, TLS", lambda b: [chunked(b, last=b"")[:-500], Cut()], every(RETRY), tls=True),
    row("chunked, cut behind a chunk, FIN", lambda b: [chunked(some(b), last=b"")], every(RETRY)),
    row("chunked, cut behind a chunk, RST", lambda b: [chunked(some(b), last=b""), Reset()], every(RETRY)),
    row("chunked, cut in a chunk's length", lambda b: [chunked(some(b), last=b"3e")], every(RETRY)),
    row("chunked, cut before the last chunk", lambda b: [chunked(b, last=b"")], every(RETRY)),
    row("chunked, cut in the last chunk", lambda b: [chunked(b, last=b"0\r\n")], every(RETRY)),
    row("chunked, a length that is none", lambda b: [chunked(some(b), last=b"zz\r\n")], every(RETRY)),
    # What Workhorse makes of a storage that breaks off: internal/sendurl/sendurl.go only logs it.
    row("chunked, short, ended properly", lambda b: [chunked(some(b))], proved(CORRUPT)),
    row(
        "error in a trailer, whole",
        lambda b: [chunked(b, last=b"0\r\nX-Error: broken\r\n\r\n")],
        proved(PUBLISHED, sized=PUBLISHED),
    ),
    row(
        "error in a trailer, short", lambda b: [chunked(some(b), last=b"0\r\nX-Error: broken\r\n\r\n")], proved(CORRUPT)
    ),
]

_LOOSE = every(RETRY, archive=PUBLISHED, unknown=PUBLISHED)
_LOOSE_CUT = every(RETRY, archive=CORRUPT, unknown=CORRUPT)
#: Neither Content-Length nor chunks: the answer ends with the connection, whoever ends it (RFC 9112 section 6.3).
ENDLESS = [
    row("no length, whole", lambda b: [head(OK, CLOSE), b], _LOOSE),
    row("HTTP/1.0, whole", lambda b: [head(OK, version="HTTP/1.0"), b], _LOOSE),
    row("no length, TLS, whole", lambda b: [head(OK, CLOSE), b], _LOOSE, tls=True),
    row("no length, cut, FIN", lambda b: [head(OK, CLOSE), some(b)], _LOOSE_CUT),
    row("no length, cut, RST", lambda b: [head(OK, CLOSE), some(b), Reset()], _LOOSE_CUT),
    row("HTTP/1.0, cut", lambda b: [head(OK, version="HTTP/1.0"), some(b)], _LOOSE_CUT),
    row("no length, cut, TLS without close_notify", lambda b: [head(OK, CLOSE), some(b), Cut()], _LOOSE_CUT, tls=True),
    row("no length, cut, TLS with close_notify", lambda b: [head(OK, CLOSE), some(b)], _LOOSE_CUT, tls=True),
    row(
        "endless",
        lambda b: [head(OK, CHUNKED), chunk(b), *[chunk(bytes(64 * 1024))] * 2000],
        every(TOO_LARGE, archive=CORRUPT, unknown=TOO_LARGE, sized=CORRUPT),
        max_size=2 * MIB,
    ),
    row(
        "10^12 bytes promised",
        lambda b: [head(OK, length(10**12)), b, 0.1],
        every(TOO_LARGE, archive=CORRUPT, unknown=TOO_LARGE, sized=CORRUPT),
        max_size=2 * MIB,
    ),
]


def dripping(body: bytes) -> list[Step]:
    """A byte now and then."""
    return [step for at in range(500) for step in (0.01, body[at : at + 1])]


_SILENT = 30.0
TIME = [
    row("silence before the answer", lambda _: [_SILENT], every(RETRY), silence=0.1),
    row("silence in the head", lambda b: [head(OK, length(len(b)))[:20], _SILENT], every(RETRY), silence=0.1),
    row("silence behind the head", lambda b: [head(OK, length(len(b))), _SILENT], every(RETRY), silence=0.1),
    row("silence in the body", lambda b: [head(OK, length(len(b))), some(b), _SILENT], every(RETRY), silence=0.1),
    row("silence in a chunk", lambda b: [chunked(b, last=b"")[:-500], _SILENT], every(RETRY), silence=0.1),
    row(
        "trickle in the body",
        lambda b: [head(OK, length(len(b))), b[:600], *dripping(b[600:]), _SILENT],
        every(RETRY),
        policy={"min_rate": 20_000, "min_rate_window": 0.1},
    ),
    row(
        "trickle in the head", lambda _: [head(OK)[:-2], b"X-Slow: ", *dripping(b"x" * 500)], every(RETRY), silence=0.02
    ),
    row(
        "slower than the timeout, and steady",
        lambda b: [
            head(OK, length(len(b))),
            *(step for at in range(10) for step in (b[at * 9 : at * 9 + 9], 0.05)),
            b[90:],
        ],
        every(PUBLISHED),
        silence=0.4,
    ),
    row("100 Continue, 2000 times", lambda b: [b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, whole(b)], every(PUBLISHED)),
    row(
        "100 Continue without end",
        lambda _: [step for _ in range(2000) for step in (b"HTTP/1.1 100 Continue\r\n\r\n", 0.005)],
        every(RETRY),
        silence=0.02,
    ),
]

_TYPED = "Content-Type: text/html; charset=utf-8"
CONTENT = [
    row("HTML", lambda _: [whole(HTML, _TYPED)], every(CORRUPT, archive=OTHER, unknown=OTHER)),
    row(
        "HTML, chunked",
        lambda _: [head(OK, CHUNKED, _TYPED), chunks(HTML), b""],
        every(CORRUPT, archive=OTHER, unknown=OTHER),
    ),
    row(
        "HTML longer than the archive",
        lambda _: [whole(HTML * 60, _TYPED)],
        every(CORRUPT, archive=OTHER, unknown=OTHER),
    ),
    row("HTML named a zip", lambda _: [whole(HTML, "Content-Type: application/zip")], proved(OTHER)),
    row("JSON", lambda _: [whole(JSON, "Content-Type: application/json")], proved(OTHER)),
    row("XML", lambda _: [whole(XML, "Content-Type: application/xml")], proved(OTHER)),
    row("0 bytes", lambda _: [whole(b"")], proved(OTHER) | {TRACE: RETRY}),
    row("0 bytes, chunked", lambda _: [chunked(b"")], proved(OTHER) | {TRACE: RETRY}),
    row("0 bytes, and there are none", lambda _: [whole(b"")], dict.fromkeys(EMPTY, PUBLISHED)),
    row("a zip of nothing", whole_only, {"empty zip": PUBLISHED}),
    row("204", lambda _: [head("204 No Content")], every(REFUSED) | dict.fromkeys(EMPTY, REFUSED)),
    row(
        "one bit wrong",
        lambda b: [whole(b[:999] + bytes([b[999] ^ 4]) + b[1000:])],
        {ARCHIVE: CORRUPT, UNKNOWN: CORRUPT},
    ),
    row("a byte too many", lambda b: [whole(b + b"x")], proved(CORRUPT)),
    row("a byte too few", lambda b: [whole(b[:-1])], proved(CORRUPT)),
    row(
        "the sha256 of others as ETag",
        lambda b: [whole(b, f'ETag: "{"a" * 64}"')],
        {ARCHIVE: CORRUPT, UNKNOWN: CORRUPT},
    ),
]

ENCODINGS = [
    row("identity", lambda b: [whole(b, "Content-Encoding: identity")], every(PUBLISHED)),
    row("gzip", lambda b: [whole(gzip.compress(b), "Content-Encoding: gzip")], every(REFUSED)),
    row(
        "gzip, cut, the length fits",
        lambda b: [whole(gzip.compress(b)[:-900], "Content-Encoding: gzip")],
        every(REFUSED),
    ),
    row("gzip, and it is not", lambda b: [whole(b, "Content-Encoding: gzip")], every(REFUSED)),
    row("gzip, not named", lambda b: [whole(gzip.compress(b))], proved(OTHER)),
    row("deflate", lambda b: [whole(b, "Content-Encoding: deflate")], every(REFUSED)),
    row("an unknown encoding", lambda b: [whole(b, "Content-Encoding: rot13")], every(REFUSED)),
    row("two encodings", lambda b: [whole(b, "Content-Encoding: identity, gzip")], every(REFUSED)),
    row("gzip of 300 MiB", lambda _: [whole(bomb(), "Content-Encoding: gzip")], every(REFUSED)),
    row("gzip of 300 MiB, not named", lambda _: [whole(bomb())], proved(OTHER)),
]

HEADS = [
    row("a header of 12 KiB", lambda b: [whole(b, "X-Long: " + "x" * 12_288)], every(PUBLISHED)),
    row("a header of 20 KiB", lambda b: [whole(b, "X-Long: " + "x" * 20_480)], every(RETRY)),
    row("a header of 1 MiB", lambda b: [whole(b, "X-Long: " + "x" * MIB)], every(RETRY)),
    row("300 headers", lambda b: [whole(b, *(f"X-{n}: y" for n in range(300)))], every(RETRY)),
    row("a reason of 64 KiB", lambda b: [whole(b, status="200 " + "x" * 65_536)], every(RETRY)),
    row("a header that is none", lambda b: [whole(b, "no colon")], every(RETRY)),
    row("no HTTP", lambda _: [b"220 ftp.example.com ready\r\n"], every(RETRY)),
    row("TLS on a plain port", lambda _: [b"\x15\x03\x01\x00\x02\x02\x46"], every(RETRY)),
    row("closed at once", lambda _: [], every(RETRY)),
    row("RST at once", lambda _: [Reset()], every(RETRY)),
    row("cut in the head", lambda b: [head(OK, length(len(b)))[:-3]], every(RETRY)),
    row("a 206 that nobody asked for", lambda b: [_part(b[:-1], 0, len(b))], every(REFUSED)),
    row("a 206 of everything that nobody asked for", lambda b: [_part(b, 0, len(b))], every(REFUSED)),
    row("a 416 that nobody asked for", lambda _: [whole(b"", status="416 Range Not Satisfiable")], every(REFUSED)),
]


def _part(body: bytes, begins: int, total: int) -> bytes:
    last = begins + len(body) - 1
    return whole(body, f"Content-Range: bytes {begins}-{last}/{total}", status="206 Partial Content")


BODIES = [*LENGTHS, *CHUNKS, *ENDLESS, *TIME, *CONTENT, *ENCODINGS, *HEADS]

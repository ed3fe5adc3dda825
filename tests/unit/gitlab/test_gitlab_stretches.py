"""Ranges of archives: what is asked for, and which answers are exactly that."""

from __future__ import annotations

import pytest

from artifact_sync.gitlab.ranges import Stretch, pin_of
from artifact_sync.ports import Pin

ETAG = '"v1"'
PIN = Pin(total=1000, etag=ETAG)
DATE, BEFORE = "Tue, 15 Nov 1994 12:46:31 GMT", "Tue, 15 Nov 1994 12:45:31 GMT"


def headers(content_range: str, **more: str) -> dict[str, str]:
    """Of an answer."""
    return {"Content-Range": content_range, "ETag": ETAG} | {
        name.replace("_", "-"): text for name, text in more.items()
    }


@pytest.mark.parametrize(
    ("stretch", "asked"),
    [
        (Stretch(start=10, stop=20, pin=PIN), {"Range": "bytes=10-19", "If-Range": ETAG}),
        (Stretch(start=0, stop=1, pin=None), {"Range": "bytes=0-0"}),
        (Stretch(start=10, stop=None, pin=None), {"Range": "bytes=10-"}),
        (Stretch(start=-16, stop=None, pin=None), {"Range": "bytes=-16"}),
        (Stretch(start=5, stop=6, pin=Pin(total=9, modified=BEFORE)), {"Range": "bytes=5-5", "If-Range": BEFORE}),
    ],
)
def test_what_is_asked_for(stretch, asked):
    """RFC 9110 sections 14.1.2 and 13.1.5: the last byte is meant, and the condition is the validator itself."""
    assert stretch.headers == asked


@pytest.mark.parametrize(
    ("stretch", "answer", "span"),
    [
        (Stretch(start=10, stop=20, pin=PIN), headers("bytes 10-19/1000", Content_Length="10"), (10, 20, 1000)),
        (Stretch(start=10, stop=20, pin=PIN), headers("bytes 10-19/1000"), (10, 20, 1000)),
        (Stretch(start=10, stop=20, pin=None), headers("bytes 10-19/7777", Content_Length="10"), (10, 20, 7777)),
        (Stretch(start=990, stop=None, pin=PIN), headers("bytes 990-999/1000"), (990, 1000, 1000)),
        (Stretch(start=-16, stop=None, pin=None), headers("bytes 984-999/1000"), (984, 1000, 1000)),
        (Stretch(start=-16, stop=None, pin=None), headers("bytes 0-9/10"), (0, 10, 10)),
    ],
)
def test_exactly_the_range_is_taken(stretch, answer, span):
    """Counted from either end, with a length or chunked."""
    assert stretch.granted(206, answer) == span


ASKED = Stretch(start=10, stop=20, pin=PIN)
RIGHT = headers("bytes 10-19/1000", Content_Length="10")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, RIGHT),
        (416, headers("bytes */1000")),
        (206, RIGHT | {"Content-Range": "bytes 9-19/1000"}),
        (206, RIGHT | {"Content-Range": "bytes 10-18/1000"}),
        (206, RIGHT | {"Content-Range": "bytes 10-20/1000"}),
        (206, RIGHT | {"Content-Range": "bytes 10-19/1001"}),
        (206, RIGHT | {"Content-Range": "bytes 10-19/19"}),
        (206, RIGHT | {"Content-Range": "bytes 10-19/*"}),
        (206, RIGHT | {"Content-Range": "items 10-19/1000"}),
        (206, RIGHT | {"Content-Range": ""}),
        (206, RIGHT | {"Content-Length": "9"}),
        (206, RIGHT | {"ETag": '"v2"'}),
        (206, RIGHT | {"ETag": f"W/{ETAG}"}),
        (206, RIGHT | {"Content-Type": "multipart/byteranges; boundary=x"}),
        (206, {name: text for name, text in RIGHT.items() if name != "ETag"}),
        (206, {"Content-Range": "bytes 10-19/1000", "Last-Modified": BEFORE, "Date": DATE}),
    ],
)
def test_anything_else_is_not(status, answer):
    """Another range, entity, size or shape."""
    assert ASKED.granted(206, RIGHT) is not None
    assert ASKED.granted(status, answer) is None


@pytest.mark.parametrize(
    ("answer", "pin"),
    [
        ({"ETag": ETAG, "Last-Modified": BEFORE, "Date": DATE}, Pin(total=9, etag=ETAG)),
        ({"Last-Modified": BEFORE, "Date": DATE}, Pin(total=9, modified=BEFORE)),
        ({"Last-Modified": DATE, "Date": DATE}, None),
        ({"Last-Modified": DATE, "Date": BEFORE}, None),
        ({"Last-Modified": BEFORE}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({"ETag": f"W/{ETAG}", "Last-Modified": BEFORE, "Date": DATE}, None),
        ({}, None),
    ],
)
def test_what_an_entity_is_known_by(answer, pin):
    """A strong tag, or a date that is as good as one where there is no tag at all."""
    assert pin_of(answer, 9) == pin

"""Bytes are put behind others only where they continue the same entity, exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from artifact_sync.gitlab.ranges import Wanted, continues, strong_etag

ETAG = '"0123abcd"'
WANTED = Wanted(offset=400, etag=ETAG, total=1000)
GOOD = {
    "Content-Range": "bytes 400-999/1000",
    "Content-Length": "600",
    "Content-Type": "application/zip",
    "ETag": ETAG,
}


def answer(**changes: str | None) -> CIMultiDict[str]:
    """The headers of the right answer, but for these."""
    merged = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return CIMultiDict({name: value for name, value in merged.items() if value is not None})


@pytest.mark.parametrize("changes", [{}, {"Content_Range": "Bytes 400-999/1000"}, {"Content_Type": None}])
def test_the_exact_rest_continues(changes):
    """The unit is written in any case, and the media type does not matter."""
    assert continues(WANTED, 206, answer(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"Content_Range": None},
        {"Content_Range": "bytes 399-999/1000"},
        {"Content_Range": "bytes 401-999/1000"},
        {"Content_Range": "bytes 0-999/1000", "Content_Length": "1000"},
        {"Content_Range": "bytes 400-998/1000", "Content_Length": "599"},
        {"Content_Range": "bytes 400-1000/1001", "Content_Length": "601"},
        {"Content_Range": "bytes 400-999/1001"},
        {"Content_Range": "bytes 400-999/999"},
        {"Content_Range": "bytes 400-999/*"},
        {"Content_Range": "bytes */1000"},
        {"Content_Range": "items 400-999/1000"},
        {"Content_Range": "bytes=400-999/1000"},
        {"Content_Range": "bytes 400-999/1000, bytes 0-1/1000"},
        {"Content_Range": "bytes -400-999/1000"},
        {"Content_Range": "bytes 400-999"},
        {"Content_Range": "bytes 400-" + "9" * 5000 + "/1000"},
        {"ETag": None},
        {"ETag": '"other"'},
        {"ETag": f"W/{ETAG}"},
        {"ETag": ETAG.strip('"')},
        {"ETag": ETAG.upper()},
        {"Content_Length": None},
        {"Content_Length": "599"},
        {"Content_Length": "601"},
        {"Content_Length": "1000"},
        {"Content_Type": "multipart/byteranges; boundary=x"},
        {"Content_Type": "Multipart/ByteRanges"},
    ],
)
def test_anything_else_does_not_continue(changes):
    """Wrong start, end, total, unit, tag or length, many parts, or no word about any of them."""
    assert not continues(WANTED, 206, answer(**changes))


@pytest.mark.parametrize("status", [200, 201, 203, 204, 416])
def test_only_206_continues(status):
    """Whatever else the headers say."""
    assert not continues(WANTED, status, answer())


@given(
    offset=st.integers(1, 2000),
    total=st.integers(2, 2000),
    first=st.integers(0, 2000),
    last=st.integers(0, 2000),
    size=st.integers(0, 2000),
    length=st.integers(0, 2000),
    kin=st.sampled_from([ETAG, '"other"', f"W/{ETAG}", ""]),
)
def test_what_continues_puts_together_the_entity(offset, total, first, last, size, length, kin):
    """Whenever an answer is accepted, old bytes and new bytes are all bytes of one tag, once."""
    wanted = Wanted.of(offset, ETAG, total)
    headers = {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(length), "ETag": kin}
    accepted = wanted is not None and continues(wanted, 206, headers)
    whole = first == offset and last == total - 1 and size == total and offset + length == total
    assert accepted == (wanted is not None and whole and kin == ETAG)


@given(offset=st.integers(1, 10**12), rest=st.integers(1, 10**12))
def test_the_right_rest_of_any_size_is_accepted(offset, rest):
    """Beyond 2 and 4 GiB, too."""
    total = offset + rest
    wanted = Wanted.of(offset, ETAG, total)
    headers = {"Content-Range": f"bytes {offset}-{total - 1}/{total}", "Content-Length": str(rest), "ETag": ETAG}
    assert wanted is not None
    assert continues(wanted, 206, headers)
    assert wanted.headers == {"Range": f"bytes={offset}-", "If-Range": ETAG}


@pytest.mark.parametrize(
    ("offset", "etag", "total"),
    [
        (0, ETAG, 1000),
        (-1, ETAG, 1000),
        (1000, ETAG, 1000),
        (1001, ETAG, 1000),
        (400, None, 1000),
        (400, "", 1000),
        (400, f"W/{ETAG}", 1000),
        (400, "bare", 1000),
        (400, '"a"b"', 1000),
        (400, '"a\r\nX: y"', 1000),
        (400, ETAG, None),
    ],
)
def test_nothing_is_continued_without_bytes_a_strong_tag_and_a_size(offset, etag, total):
    """Then everything is asked for, with no Range."""
    assert Wanted.of(offset, etag, total) is None


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (ETAG, ETAG),
        (f" {ETAG} ", ETAG),
        ('""', '""'),
        (f"W/{ETAG}", None),
        (f"w/{ETAG}", None),
        (f'{ETAG}, "b"', None),
        ("*", None),
        ("bare", None),
        ("'single'", None),
        ("", None),
        (None, None),
    ],
)
def test_a_strong_tag_is_one_in_plain_quotes(text, tag):
    """RFC 9110 section 8.8.3."""
    assert strong_etag(text) == tag

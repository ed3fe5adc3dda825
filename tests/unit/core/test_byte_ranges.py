"""What a request with conditions and a range is answered with (RFC 9110)."""

import pytest

from artifact_sync.core.byte_ranges import Part, Validators, Verdict, judge

ETAG, DATE = '"abc"', "Sat, 01 Nov 2025 10:00:00 GMT"


def verdict(size: int = 100, **asked: str) -> Part | Verdict:
    """Of a file of 100 bytes."""
    return judge(Validators(**asked), etag=ETAG, modified=DATE, size=size)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", Part(0, 0)),
        ("bytes=0-99", Part(0, 99)),
        ("bytes=99-", Part(99, 99)),
        ("bytes=-1", Part(99, 99)),
        ("bytes=-1000", Part(0, 99)),
        ("bytes=50-1000000000000000000000", Verdict.WHOLE),
        ("bytes=50-100000000000000000", Part(50, 99)),
        (" bytes=1-2 ", Part(1, 2)),
        ("bytes=100-", Verdict.OUTSIDE),
        ("bytes=-0", Verdict.OUTSIDE),
        ("bytes=2-1", Verdict.WHOLE),
        ("bytes=0-1,2-3", Verdict.WHOLE),
        ("bytes=\u0661-\u0662", Verdict.WHOLE),
        ("items=0-1", Verdict.WHOLE),
        ("", Verdict.WHOLE),
    ],
)
def test_a_range_is_one_part_or_not_understood(asked, expected):
    """Digits of ASCII alone, and of a length that is a position."""
    assert verdict(range=asked) == expected


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-5"])
def test_nothing_of_an_empty_file_can_be_had_in_part(asked):
    """There is no first byte."""
    assert verdict(size=0, range=asked) is Verdict.OUTSIDE


@pytest.mark.parametrize(
    ("named", "part"),
    [(ETAG, True), (DATE, True), ('W/"abc"', False), ('"abd"', False), ("*", False), ("", False), ("abc", False)],
)
def test_if_range_must_name_exactly_this(named, part):
    """Otherwise the Range is as if it were not there."""
    assert (verdict(range="bytes=0-1", if_range=named) == Part(0, 1)) is part


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"if_none_match": ETAG}, Verdict.UNCHANGED),
        ({"if_none_match": 'W/"abc"'}, Verdict.UNCHANGED),
        ({"if_none_match": '"x", "abc"'}, Verdict.UNCHANGED),
        ({"if_none_match": "*"}, Verdict.UNCHANGED),
        ({"if_none_match": '"x"'}, Verdict.WHOLE),
        ({"if_none_match": "abc"}, Verdict.WHOLE),
        ({"if_match": ETAG}, Verdict.WHOLE),
        ({"if_match": 'W/"abc"'}, Verdict.CHANGED),
        ({"if_match": '"x"'}, Verdict.CHANGED),
        ({"if_match": "*"}, Verdict.WHOLE),
        ({"if_match": '"x"', "if_none_match": ETAG}, Verdict.CHANGED),
        ({"if_none_match": ETAG, "range": "bytes=0-1"}, Verdict.UNCHANGED),
        ({"if_match": ETAG, "range": "bytes=0-1"}, Part(0, 1)),
    ],
)
def test_preconditions_come_before_ranges(asked, expected):
    """Strong where something is to be changed or joined, weak where a copy is to be used."""
    assert verdict(**asked) == expected

"""Which bytes of an archive are read for some of its members."""

from __future__ import annotations

import io
import zipfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.archive import Member
from artifact_sync.core.archive_end import TAIL, locate
from artifact_sync.core.zip_ranges import FIRST_TAIL, GAP, MOST, WASTE, Extent, extents, located, ranges
from artifact_sync.errors import Corrupt
from tests.zips import craft, real_zip, text

SIZES = st.integers(31, 3 * GAP)


def member(offset: int, size: int) -> Member:
    """One of which only the place matters."""
    return Member(
        raw_name=b"a", flags=0, method=0, crc=0, compressed_size=size, size=size, header_offset=offset, mode=0
    )


def row(sizes: list[int]) -> list[Extent]:
    """Extents of these sizes, one behind the other."""
    made, at = [], 0
    for size in sizes:
        made.append(Extent(member(at, size - 31), at + size))
        at += size
    return made


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=60))
def test_ranges_cover_what_is_wanted_and_little_else(members):
    """Every wanted extent once and in order, no byte twice, and next to nothing in between."""
    every = row([size for size, _ in members])
    wanted = [extent for extent, (_, take) in zip(every, members, strict=True) if take]

    plan = ranges(wanted)

    assert [extent for each in plan for extent in each.extents] == wanted
    assert all(each.start <= extent.start < extent.stop <= each.stop for each in plan for extent in each.extents)
    assert all(earlier.stop < later.start for earlier, later in pairwise(plan))
    needed = sum(extent.stop - extent.start for extent in wanted)
    assert sum(each.size for each in plan) <= needed * (1 + WASTE)


def test_neighbours_are_one_request():
    """Also where a small one between them is thrown away."""
    extents = row([GAP, 100, GAP, GAP, 2 * GAP, GAP])

    plan = ranges([extents[0], extents[2], extents[3], extents[5]])

    assert [(each.start, each.stop) for each in plan] == [(0, 3 * GAP + 100), (5 * GAP + 100, 6 * GAP + 100)]


def test_the_smallest_gaps_are_bridged_first():
    """What may be wasted is little, so it goes where it saves most."""
    extents = row([10_000, 600, 10_000, 500, 10_000])

    plan = ranges(extents[::2])

    assert [(each.start, each.stop) for each in plan] == [(0, 10_000), (10_600, 31_100)]


def test_a_range_of_several_has_an_end():
    """A connection that breaks costs no more than that."""
    extents = row([MOST // 2 + 1] * 3)

    assert [each.size for each in ranges(extents)] == [MOST // 2 + 1] * 3
    assert [each.size for each in ranges(row([3 * MOST, 31]))] == [3 * MOST, 31]


def test_nothing_wanted_is_nothing_read():
    """An empty plan."""
    assert ranges([]) == ()


def test_an_extent_holds_header_bytes_and_descriptor():
    """Up to the next member, and of the last one up to the directory."""
    data = real_zip({"a": b"x" * 1000, "b/": b"", "c": b"y" * 10}, descriptors=True)
    end = locate(data, len(data))
    directory = data[end.directory_offset :][: end.directory_size]

    found = list(extents(directory, end))

    assert [extent.member.raw_name for extent in found] == [b"a", b"b/", b"c"]
    assert [extent.start for extent in found[1:]] == [extent.stop for extent in found[:-1]]
    assert found[-1].stop == end.directory_offset
    assert list(extents(b"", locate(craft([]), 22))) == []


def test_bytes_that_belong_to_no_member_are_not_read():
    """However many stand between one and the next."""
    data = craft([text("a")], gap=bytes(1 << 20))
    end = locate(data, len(data))
    (extent,) = extents(data[end.directory_offset :][: end.directory_size], end)

    assert extent.stop < 1 << 17


def many(count: int, **options) -> bytes:
    """An archive of so many empty members."""
    return craft([text(f"member-{number:06}", b"", method=0) for number in range(count)], **options)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("count", [1, 100, 1000])
def test_the_end_is_found_in_the_first_bytes_read(count, zip64):
    """Where the directory lies is known from them, though it may not lie in them."""
    data = many(count, zip64=zip64)

    assert located(data[-FIRST_TAIL:], len(data)) == locate(data[-TAIL:], len(data))


@pytest.mark.parametrize("length", [FIRST_TAIL - 22 - 10, FIRST_TAIL - 22, FIRST_TAIL, 65_535])
def test_a_long_comment_takes_a_second_look(length):
    """No end record, or none before which a zip64 locator could be seen: nothing is concluded from too few bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a", bytes(FIRST_TAIL))
        archive.comment = b"x" * length
    data = sink.getvalue()

    assert located(data[-FIRST_TAIL:], len(data)) is None
    assert located(data[-TAIL:], len(data)) == locate(data, len(data))


def test_what_is_no_zip_is_told_once_enough_was_read():
    """More bytes would not help."""
    with pytest.raises(Corrupt):
        located(bytes(TAIL), 1 << 30)
    assert located(bytes(FIRST_TAIL), 1 << 30) is None

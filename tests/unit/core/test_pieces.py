"""Pieces of a large file: in order, without gaps, and small where much would be lost or waited for."""

from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.pieces import MIB, furthest, piece_end


@given(total=st.integers(1, 1 << 40), start=st.floats(0, 1, exclude_max=True), connections=st.integers(1, 64))
def test_a_piece_goes_on_and_never_beyond_the_end(total, start, connections):
    """Whatever the size: at least one byte, at most 64 MiB, and 4 MiB unless the file ends."""
    begin = int(total * start)
    end = piece_end(begin, total, connections=connections)

    assert begin < end <= total
    assert end - begin <= 64 * MIB
    assert end == total or end - begin >= 4 * MIB


def test_the_pieces_of_a_gibibyte():
    """A hundred and some requests, the last pieces the smallest."""
    total, at, sizes = 1 << 30, 0, []
    while at < total:
        end = piece_end(at, total, connections=4)
        sizes.append(end - at)
        at = end

    assert 7 * MIB < sizes[0] < 8 * MIB
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) < 150


@given(total=st.integers(1 << 30, 1 << 40), connections=st.integers(2, 7))
def test_a_kill_costs_little_of_what_lies_behind_the_first_gap(total, connections):
    """A piece begins as far behind it as it may, and is whole when the process is killed: a thirtieth of the file."""
    begin = furthest(total, connections=connections)
    lost = piece_end(begin, total, connections=connections)

    assert lost <= total // 30
    # Far enough that a connection never waits for another that is as fast: all but one are at work behind the gap.
    assert begin >= (connections - 1) * (lost - begin)

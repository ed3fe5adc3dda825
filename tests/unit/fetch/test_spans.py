"""Which bytes are here, which are on their way, and whether more connections are worth anything."""

import pytest

from artifact_sync.fetch.bottleneck import Bottleneck
from artifact_sync.fetch.spans import Spans

MIB = 1 << 20


def test_the_prefix_ends_at_the_first_gap():
    """What lies behind a gap does not count until the gap is closed."""
    spans = Spans(total=64 * MIB, begun=0, connections=2)
    first, second = spans.take(), spans.take()
    assert first is not None
    assert second is not None
    second.at = second.stop
    assert spans.contiguous(0) == 0
    first.at = 1000
    assert spans.contiguous(0) == 1000
    first.at = first.stop
    assert spans.contiguous(1000) == second.stop


def test_what_was_not_brought_is_given_out_first():
    """The rest of a broken piece comes before anything new, and is a gap until it is there."""
    spans = Spans(total=64 * MIB, begun=0, connections=2)
    first, second = spans.take(), spans.take()
    assert first is not None
    assert second is not None
    stop = first.stop
    first.at, second.at = 1000, second.start + 1
    spans.give_back(first)
    assert spans.gaps
    assert spans.contiguous(0) == 1000
    rest = spans.take()
    assert rest is not None
    assert (rest.start, rest.stop) == (1000, stop)
    rest.at = rest.stop
    assert spans.contiguous(1000) == second.start + 1


def test_every_byte_is_given_out_once():
    """From the first byte that is wanted to the last one."""
    spans = Spans(total=50 * MIB + 7, begun=3, connections=4)
    at = 3
    while (span := spans.take()) is not None:
        assert span.start == at
        at = span.stop
    assert at == 50 * MIB + 7


@pytest.mark.parametrize(
    ("rate", "waiting", "total", "found"),
    [
        (10 * MIB, 0.9, 1 << 30, True),
        (10 * MIB, 0.3, 1 << 30, False),
        (200 * MIB, 0.9, 1 << 34, False),
        (10 * MIB, 0.9, 20 * MIB, False),
    ],
    ids=["a slow link", "held up by this side", "a fast link", "almost done"],
)
def test_when_one_connection_is_the_bottleneck(rate, waiting, total, found):
    """Only while most of the time is spent waiting for a slow peer, and enough is left."""
    watch, now, received, answers = Bottleneck(total=total), 0.0, 0, []
    for _ in range(100):
        now += 0.01
        received += rate // 100
        answers.append(watch.found(now, rate // 100, 0.01 * waiting, received))

    assert any(answers) is found


@pytest.mark.parametrize(
    ("held", "limit", "found"),
    [
        (0.0, 100 * MIB, True),
        (0.03, 100 * MIB, True),
        (0.1, 100 * MIB, False),
        (0.0, 15 * MIB, False),
    ],
    ids=["a limit that is far away", "one that is hardly felt", "one that others use up", "one that is almost reached"],
)
def test_where_the_limit_of_all_is_the_bottleneck_no_connection_is_worth_anything(held, limit, found):
    """Neither while it holds this connection back, nor where this one has most of it."""
    watch, now, received, answers = Bottleneck(total=1 << 30), 100.0, 0, []
    for step in range(100):
        now += 0.01
        received += 10 * MIB // 100
        # What was held back before the window began is no part of it.
        so_far = 50 + step * 0.01 * held
        answers.append(watch.found(now, 10 * MIB // 100, 0.008, received, held=so_far, limit=limit))

    assert any(answers) is found

"""Lines and bars, as coordinates and as words; and the rings of samples behind them."""

from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.web.dashboard.history import COARSE, FINE, History, Sample
from artifact_sync.web.dashboard.plots import HEIGHT, WIDTH, bars, line, scale

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def drawn(samples, *, binary: bool = False):
    """Of two hours."""
    return line(
        samples,
        name="n",
        title="Rate",
        now=NOW,
        span=2 * HOUR,
        every=HOUR,
        words=lambda value: f"{value:g}",
        binary=binary,
    )


@pytest.mark.parametrize(
    ("most", "top", "binary_top"),
    [
        (0, 1, 1),
        (1, 1, 1),
        (1.5, 2, 2),
        (3, 5, 4),
        (6, 10, 8),
        (1000, 1000, 1024),
        (1001, 2000, 1024),
        (7e15, 1e16, 2**53),
    ],
)
def test_an_axis_ends_at_a_round_number_that_holds_everything(most, top, binary_top):
    """One, two or five times a power of ten, or a power of two."""
    assert scale(most) == top
    assert scale(most, binary=True) == binary_top


def test_a_line_lies_inside_its_drawing_and_is_said_in_words():
    """The newest at the right; what is older than the axis is left out."""
    plot = drawn([(NOW - 3 * HOUR, 99.0), (NOW - 2 * HOUR, 0.0), (NOW - HOUR, 8.0), (NOW, 4.0)], binary=True)
    points = [tuple(map(float, point.split(","))) for point in plot.points.split()]
    assert points == [(plot.left, plot.bottom), ((plot.left + plot.right) / 2, plot.top), (plot.right, 69.0)]
    assert plot.summary == "Rate: 4 now, 8 at most."
    assert [tick.label for tick in plot.across] == ["-2 h", "-1 h", "now"]
    assert [tick.label for tick in plot.up] == ["0", "4", "8"]
    assert all(0 <= tick.at <= WIDTH for tick in plot.across)


@pytest.mark.parametrize("samples", [[], [(NOW, 5.0)]])
def test_a_line_of_less_than_two_points_is_none(samples):
    """Nothing is drawn, and that is said."""
    plot = drawn(samples)
    assert plot.points == ""
    assert plot.summary == ("Rate: 5 now, 5 at most." if samples else "Rate: nothing measured yet.")


def test_bars_have_their_height_place_and_words():
    """None for nothing."""
    plot = bars([0, 5, 10, 0], name="n", title="Expiring", unit="h", every=2)
    assert [(bar.label, bar.value) for bar in plot.bars] == [("in 1 to 2 h", 5), ("in 2 to 3 h", 10)]
    low, high = plot.bars
    assert high.height == 2 * low.height == plot.bottom - plot.top
    assert all(bar.y + bar.height == plot.bottom <= HEIGHT for bar in plot.bars)
    assert plot.summary == "Expiring: 15, most of them in 2 to 3 h (10)."
    assert bars([0, 0], name="n", title="Expiring", unit="h", every=1).summary == "Expiring: 0."


def test_samples_are_bounded_and_gathered():
    """Two hours of ten seconds each, three days of five minutes each; the coarse ones are means."""
    history = History()
    for number in range(40_000):
        history.add(Sample(at=NOW + number * FINE[1], rate=float(number % 30), waiting=number))
    assert len(history.fine) == 720
    assert len(history.coarse) == 864
    assert history.fine[-1].waiting == 39_999
    assert {sample.rate for sample in history.coarse} == {14.5}
    steps = {later.at - sooner.at for sooner, later in zip(history.coarse, list(history.coarse)[1:], strict=False)}
    assert steps == {COARSE[1]}


def test_samples_that_come_late_are_gathered_by_the_time_they_span():
    """A daemon that slept has less of them."""
    history = History()
    for number in range(6):
        history.add(Sample(at=NOW + number * timedelta(minutes=4), rate=1.0, waiting=0))
    assert len(history.coarse) == 2

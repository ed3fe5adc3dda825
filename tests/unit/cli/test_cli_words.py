"""Figures as people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from artifact_sync.cli import words


@pytest.mark.parametrize(
    ("text", "told"),
    [("write x", "Write x."), ("did you mean x?", "Did you mean x?"), ("Done.", "Done."), ("", ".")],
)
def test_sentences(text, told):
    """A capital in front, and one end."""
    assert words.sentence(text) == told


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3000 * 1024**4, "3000.0 TiB"),
        (None, "size unknown"),
    ],
)
def test_sizes(number, text):
    """A size is in the largest unit that leaves at least one of it."""
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (-5, "0.0 s"),
        (0.25, "0.2 s"),
        (1, "1 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600 + 5, "1 h"),
        (86400 * 2 + 3600 * 3 + 59, "2 d 3 h"),
    ],
)
def test_spans(seconds, text):
    """A duration is in its two largest units, without zeros."""
    assert words.span(seconds) == text
    assert words.span(timedelta(seconds=seconds)) == text


def test_moments():
    """A moment is in UTC, whatever offset it came with, and a missing one is never."""
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert words.moment(datetime.fromisoformat("2026-03-01T13:00:00+01:00")) == "2026-03-01 12:00:00 UTC"
    assert words.moment(None) == words.ago(None, now) == "never"
    assert words.ago(now - timedelta(minutes=5), now) == "5 min ago"
    assert words.ago(now + timedelta(days=2), now) == "in 2 d"


def test_counts_and_rates():
    """Counts agree with their noun, and a rate needs time."""
    assert [words.count(n, "job") for n in (1, 2, 20000)] == ["1 job", "2 jobs", "20,000 jobs"]
    assert words.rate(2048, 2) == "1.0 KiB/s"
    assert words.rate(2048, 0) == ""


@pytest.mark.parametrize("year", [1, 1970, 9999])
@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_every_moment_can_be_shown(year, hours):
    """Also those whose UTC lies outside the calendar."""
    zone = timezone(timedelta(hours=hours))
    for then in (datetime(year, 1, 1, tzinfo=zone), datetime(year, 12, 31, 23, 59, 59, tzinfo=zone)):
        assert str(year)[:3] in words.moment(then) or "1969" in words.moment(then)

"""Durations, sizes, rates, shares."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.config import units
from artifact_sync.config.problems import Wrong


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0s", timedelta()),
        ("30s", timedelta(seconds=30)),
        ("0.2s", timedelta(milliseconds=200)),
        ("5m", timedelta(minutes=5)),
        ("1.5h", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_durations(text, value):
    """A number with s, m, h, d or w."""
    assert units.parse_duration(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0KiB", 0),
        ("512B", 512),
        ("1KiB", 1024),
        ("1KB", 1000),
        ("1.5MiB", 3 << 19),
        ("2MB", 2_000_000),
        ("5GiB", 5 << 30),
        ("5GB", 5_000_000_000),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes(text, value):
    """Binary and decimal units are told apart."""
    assert units.parse_size(text) == value
    assert units.parse_rate(f"{text}/s") == value


@pytest.mark.parametrize(("text", "value"), [("0%", 0.0), ("10%", 0.1), ("12.5%", 0.125), ("100%", 1.0)])
def test_shares(text, value):
    """A percentage is a fraction of 1."""
    assert units.parse_share(text) == value
    assert units.share_text(value) == text


@pytest.mark.parametrize("parse", [units.parse_duration, units.parse_size, units.parse_rate, units.parse_share])
@pytest.mark.parametrize("number", [0, 30, 1.5, -1])
def test_a_bare_number_is_refused_and_says_what_to_write(parse, number):
    """Thirty of what? The cure has units in it."""
    with pytest.raises(Wrong) as caught:
        parse(number)

    assert "a bare number" in caught.value.what
    assert "add a unit" in caught.value.cure


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (units.parse_duration, "30"),
        (units.parse_duration, "1h30m"),
        (units.parse_duration, "-5m"),
        (units.parse_duration, "5 m"),
        (units.parse_duration, "5M"),
        (units.parse_duration, "5m\n"),
        (units.parse_duration, "\u0665m"),
        (units.parse_duration, "100000w"),
        (units.parse_duration, True),
        (units.parse_duration, None),
        (units.parse_duration, ["5m"]),
        (units.parse_size, "5G"),
        (units.parse_size, "5gib"),
        (units.parse_size, "999999999999TiB"),
        (units.parse_rate, "5MiB"),
        (units.parse_size, "5MiB/s"),
        (units.parse_share, "0.1"),
        (units.parse_share, "101%"),
    ],
)
def test_everything_else_is_refused(parse, text):
    """Near misses are errors with a cure, never guesses."""
    with pytest.raises(Wrong) as caught:
        parse(text)

    assert caught.value.cure.startswith(("write", "add"))


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30000)))
def test_a_duration_survives_being_written_and_read(value):
    """What `config show` prints is what was configured."""
    assert units.parse_duration(units.duration_text(value)) == value


@given(st.integers(min_value=0, max_value=10**14))
def test_a_size_survives_being_written_and_read(value):
    """Sizes and rates are written exactly."""
    assert units.parse_size(units.size_text(value)) == value
    assert units.parse_rate(units.rate_text(value)) == value


@pytest.mark.parametrize("text", ["30s", "1m", "24h", "2d", "7d", "30d", "5m", "0s", "30m", "90d", "8w"])
def test_durations_are_written_as_people_write_them(text):
    """A day is 24h or 1d, never 86400s."""
    assert units.duration_text(units.parse_duration(text)) in {text, {"24h": "1d", "8w": "8w"}.get(text)}


@pytest.mark.parametrize("text", ["5GiB", "64MiB", "1KiB", "500GB", "10TiB", "1B"])
def test_sizes_are_written_as_people_write_them(text):
    """The smallest whole number that a unit gives."""
    assert units.size_text(units.parse_size(text)) == text

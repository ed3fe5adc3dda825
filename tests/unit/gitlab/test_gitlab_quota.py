"""What headers tell of quotas and of the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.gitlab import ServerClock
from artifact_sync.gitlab.dates import http_date
from artifact_sync.gitlab.quota import Quota
from tests.unit.gitlab.gitlab_clocks import START, StandingClock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_the_headers_of_a_throttled_answer():
    """Rack::Attack says it all."""
    headers = {
        "Content-Type": "text/plain",
        "RateLimit-Limit": "600",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1772366430",
        "Retry-After": "30",
    }
    quota = Quota.of(headers, NOW)
    assert quota == Quota(limit=600, remaining=0, reset=1772366430, retry_after=30.0)


def test_an_endpoints_own_limit():
    """The JSON shape has none of these headers."""
    assert Quota.of({"Content-Type": "application/json"}, NOW) == Quota(endpoint_only=True)
    assert not Quota.of({"Content-Type": "text/plain"}, NOW).endpoint_only
    announced = {"Content-Type": "application/json", "RateLimit-Limit": "600", "RateLimit-Remaining": "9"}
    assert not Quota.of(announced, NOW).endpoint_only


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 14:00:30 +0200", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("\u0661\u0662", None),
    ],
)
def test_how_long_to_wait_in_seconds_or_until_a_date(text, seconds):
    """Both forms of RFC 9110, by the server's time; nonsense is none."""
    assert Quota.of({"Retry-After": text}, NOW).retry_after == seconds


@given(st.text(max_size=40))
def test_no_header_makes_a_date_fail(text):
    """Whatever a server sends is a date, or none."""
    found = http_date(text)
    assert found is None or found.utcoffset() == timedelta(0)


def served(clock: ServerClock, ahead: float, *, took: float = 0.0) -> None:
    """One answer of a server whose clock is so far ahead."""
    received = clock.local.now()
    sent = received - timedelta(seconds=took)
    at = sent + timedelta(seconds=took / 2 + ahead)
    clock.observe(at.strftime("%a, %d %b %Y %H:%M:%S GMT"), sent, received)


def test_the_time_is_the_servers():
    """Within the second that a Date header is cut to."""
    clock = ServerClock(StandingClock())
    assert (clock.now(), clock.skew) == (START, timedelta(0))
    served(clock, 3600)
    assert abs(clock.now() - START - timedelta(hours=1)) <= timedelta(seconds=1)


def test_one_odd_answer_does_not_move_the_time():
    """The median of the last few counts."""
    clock = ServerClock(StandingClock())
    for _ in range(5):
        served(clock, 10)
    served(clock, 86_400)
    assert abs(clock.skew.total_seconds() - 10) <= 1
    served(clock, 10)
    assert abs(clock.skew.total_seconds() - 10) <= 1


def test_a_step_of_the_local_clock_is_noticed_with_the_second_answer():
    """It takes two that agree."""
    clock = ServerClock(StandingClock())
    for _ in range(9):
        served(clock, 10)
    served(clock, -7200)
    assert abs(clock.skew.total_seconds() - 10) <= 1
    served(clock, -7200)
    assert abs(clock.skew.total_seconds() + 7200) <= 1


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yesterday",
        "Sun, 01 Mar 2026 12:00:30 -0000",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ],
)
def test_a_header_that_is_no_date_is_ignored(text):
    """Time goes on as it was."""
    local = StandingClock()
    clock = ServerClock(local)
    served(clock, 10)
    before = clock.skew
    for _ in range(12):
        clock.observe(text, local.now(), local.now())
    assert clock.skew == before
    local.jump(60)
    assert clock.now() == START + timedelta(seconds=60) + before

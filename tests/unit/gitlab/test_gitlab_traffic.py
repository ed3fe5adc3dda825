"""What is counted of the traffic with GitLab."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from artifact_sync.errors import Refused, Transient
from artifact_sync.gitlab.quota import Quota
from artifact_sync.gitlab.traffic import Minute, Tally
from artifact_sync.ports import Priority

URL = "https://gitlab.example/api/v4/x"
STEPS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 58.0, 59.0, 60.0]) | st.floats(0, 90)


@given(st.lists(STEPS, min_size=1, max_size=120), st.floats(0, 200))
def test_a_minute_counts_what_was_in_its_seconds(steps, wait):
    """The sixty seconds that end now, each whole, and nothing before them."""
    minute, now, times = Minute(), 1000.0, []
    for step in steps:
        now += step
        minute.add(now)
        times.append(now)
    now += wait
    assert minute.count(now) == sum(int(now) - int(then) < 60 for then in times)


def test_an_exchange_counts_by_its_answer():
    """By purpose and status; one without an answer as such; what was made of the answer afterwards changes nothing."""
    tally = Tally()
    with tally.exchange(Priority.POLL, "GET /x", URL) as exchange:
        exchange.answered(200, {})
    with pytest.raises(Transient), tally.exchange(Priority.KEEP, "POST /x", URL):
        raise Transient("POST /x", "no connection")

    def answered_oddly() -> None:
        with tally.exchange(Priority.KEEP, "POST /x", URL) as exchange:
            exchange.answered(404, {})
            raise Refused("POST /x", "odd")

    with pytest.raises(Refused):
        answered_oddly()
    assert tally.answers == {(Priority.POLL, "200"): 1, (Priority.KEEP, "none"): 1, (Priority.KEEP, "404"): 1}


def test_an_exchange_is_a_line_of_the_log():
    """With GitLab's own name for the request, cut to what such a name can be."""
    with capture_logs() as lines, Tally().exchange(Priority.DOWNLOAD, "GET /x", URL) as exchange:
        exchange.answered(206, {"X-Request-Id": "01J" + "x" * 500})
    (line,) = lines
    assert (line["event"], line["log_level"], line["purpose"], line["status"]) == (
        "request.ended",
        "debug",
        "download",
        206,
    )
    assert line["gitlab_request"] == ("01J" + "x" * 500)[:80]


def test_the_last_word_about_the_quota_is_remembered():
    """Answers that say nothing of it do not take it away."""
    tally = Tally()
    tally.told(Quota(limit=600, remaining=3, reset=1_900_000_000))
    tally.told(Quota(retry_after=1.0))
    assert (tally.quota.limit, tally.quota.remaining, tally.quota.reset) == (600, 3, 1_900_000_000)

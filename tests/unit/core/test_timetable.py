"""Which limit holds when: against a day that is gone through minute by minute."""

from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.timetable import Entry, Timetable

DAY = 24 * 60


def at(minute: int) -> time:
    return time(minute // 60, minute % 60)


minutes = st.integers(0, DAY - 1)
windows = st.tuples(minutes, minutes, st.integers(1, 3)).filter(lambda window: window[0] != window[1])


def naive(drawn: list[tuple[int, int, int]], otherwise: int | None) -> list[int | None]:
    """The limit of each minute of the day: the windows are painted over it, the first one last."""
    day = [otherwise] * DAY
    for start, end, limit in reversed(drawn):
        minute = start
        while minute != end:
            day[minute] = limit
            minute = (minute + 1) % DAY
    return day


@given(st.lists(windows, max_size=5), st.none() | st.integers(1, 3), st.lists(minutes, min_size=1, max_size=20))
def test_every_minute_has_the_limit_of_a_day_that_is_painted_by_hand(drawn, otherwise, asked):
    """Windows that overlap, touch and cross midnight; and the next change is the next minute with another limit."""
    entries = tuple(Entry(start=at(start), end=at(end), limit=limit) for start, end, limit in drawn)
    table = Timetable(entries=entries, otherwise=otherwise)
    day = naive(drawn, otherwise)

    for minute in asked:
        assert table.limit(at(minute)) == day[minute]
        assert table.limit(time(minute // 60, minute % 60, 59, 999999)) == day[minute]
        turned = [day[(minute + later) % DAY] != day[minute] for later in range(DAY)]
        change = timedelta(minutes=turned.index(True)) if True in turned else None
        assert table.until_change(at(minute)) == change
        if change is not None:
            inside = at(minute).replace(second=59, microsecond=5)
            assert table.until_change(inside) == change - timedelta(seconds=59, microseconds=5)


def test_the_first_window_that_holds_decides():
    """Lunch within the office hours, written before them; and the night crosses midnight."""
    lunch = Entry(start=time(12), end=time(13), limit=20)
    office = Entry(start=time(8), end=time(18), limit=10)
    night = Entry(start=time(22), end=time(6), limit=50)
    table = Timetable(entries=(lunch, office, night))

    assert [table.limit(time(hour)) for hour in (0, 5, 6, 8, 12, 13, 17, 18, 22)] == [
        50,
        50,
        None,
        10,
        20,
        10,
        10,
        None,
        50,
    ]


@pytest.mark.parametrize(("end", "limit"), [(time(8), 1), (time(9), 0), (time(9), -1)])
def test_a_window_of_no_length_and_a_limit_of_nothing_are_none(end, limit):
    """Neither says what it means, and the second would wait for ever."""
    with pytest.raises(ValueError, match="no limit for a part of a day"):
        Entry(start=time(8), end=end, limit=limit)


def test_only_what_never_limits_is_unlimited():
    """A timetable that has a window is none, also where it does not hold now."""
    assert Timetable().unlimited
    assert not Timetable(otherwise=1).unlimited
    assert not Timetable(entries=(Entry(start=time(8), end=time(9), limit=1),)).unlimited

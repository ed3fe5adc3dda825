"""The request budget: how much, who first, and what a cancelled wait leaves behind."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.gitlab.bucket import Bucket
from artifact_sync.gitlab.budget import Budget
from artifact_sync.ports import Priority
from tests.unit.gitlab.gitlab_clocks import StandingClock, settled


def most_in_any_window(times: list[float], rate: float, burst: float) -> float:
    """By how much the fullest window is above rate and burst; nothing is wrong up to 0."""
    return max(
        (last - first + 1) - burst - (times[last] - times[first]) * rate
        for first in range(len(times))
        for last in range(first, len(times))
    )


@given(
    rate=st.floats(0.05, 50),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=80),
    asks=st.integers(1, 60),
)
def test_a_bucket_never_gives_more_than_its_rate_and_a_second_of_burst(rate, steps, asks):
    """Whoever asks as often as they like, no window holds more than rate times its length and one burst."""
    bucket, now, given_at = Bucket(rate, 0.0), 0.0, []
    for step in steps:
        now += step
        for _ in range(asks):
            if bucket.wait(now) == 0:
                bucket.take(now)
                given_at.append(now)
    assert most_in_any_window(given_at, rate, max(1.0, rate)) < 1e-6


@given(rate=st.floats(0.01, 100), takes=st.integers(1, 200))
def test_waiting_as_long_as_the_bucket_says_is_enough(rate, takes):
    """There are no slivers that are waited for again and again, and no wait is longer than one takes to drip."""
    bucket, now = Bucket(rate, 0.0), 0.0
    for _ in range(takes):
        wait = bucket.wait(now)
        assert wait <= 1 / rate + 1e-5
        now += wait
        assert bucket.wait(now) == 0
        bucket.take(now)


def test_a_bucket_without_a_rate_never_gives():
    """No share is no share, and not one free request."""
    assert Bucket(0, 0.0).wait(1e9) == math.inf


class Line:
    """A budget, and tasks that wait in line for it."""

    def __init__(self, group: TaskGroup, *, per_minute: float, keep_share: float, concurrency: int) -> None:
        self.clock = StandingClock()
        self.budget = Budget(self.clock, per_minute=per_minute, keep_share=keep_share, concurrency=concurrency)
        self.group = group
        self.granted: list[tuple[float, Priority]] = []

    def ask(self, priority: Priority, *, times: int = 1, hold: bool = False) -> list[anyio.Event]:
        """So many tasks that ask for one permit each, and hold it until their event is set."""
        events = [anyio.Event() for _ in range(times)]
        for event in events:
            if not hold:
                event.set()
            self.group.start_soon(self._one, priority, event)
        return events

    async def _one(self, priority: Priority, done: anyio.Event) -> None:
        async with self.budget.permit(priority):
            self.granted.append((self.clock.monotonic(), priority))
            await done.wait()

    def ask_on(self, priority: Priority) -> None:
        """A task that asks again as soon as it was granted, for ever."""
        self.group.start_soon(self._on, priority)

    async def _on(self, priority: Priority) -> None:
        while True:
            async with self.budget.permit(priority):
                self.granted.append((self.clock.monotonic(), priority))

    @property
    def order(self) -> list[Priority]:
        """Who was granted, in order."""
        return [priority for _, priority in self.granted]

    def times(self, *priorities: Priority) -> list[float]:
        """When those were granted."""
        return [at for at, priority in self.granted if priority in priorities]


@asynccontextmanager
async def standing_line(
    *, per_minute: float = 600, keep_share: float = 0.1, concurrency: int = 4
) -> AsyncIterator[Line]:
    """A line whose tasks end with the test."""
    async with anyio.create_task_group() as group:
        yield Line(group, per_minute=per_minute, keep_share=keep_share, concurrency=concurrency)
        group.cancel_scope.cancel()


async def test_no_window_holds_more_requests_than_the_configured_rate():
    """A crowd of every priority gets the rate and one second of burst, and no less than the rate."""
    async with standing_line(per_minute=600, keep_share=0.1) as line:
        for priority in (Priority.POLL, Priority.DOWNLOAD, Priority.KEEP):
            line.ask(priority, times=60)
        await line.clock.advance(15)
        times = [at for at, _ in line.granted]
        assert most_in_any_window(times, 10, 10) < 0.01
        assert bisect_left(times, 5) >= 50


async def test_no_minute_holds_more_than_a_minutes_worth():
    """Not the first one either, which begins with a burst: a server that counts by the minute refuses nothing."""
    async with standing_line(per_minute=600, keep_share=0.1) as line:
        await line.clock.advance(5)
        for priority in (Priority.POLL, Priority.DOWNLOAD, Priority.KEEP):
            line.ask_on(priority)
        await line.clock.advance(61)
        times = [at for at, _ in line.granted]
        assert 590 <= bisect_left(times, 65) <= 600


async def test_downloads_without_an_end_leave_something_to_discovery():
    """A poll is passed by a few, not by all of them; a keep by nobody."""
    async with standing_line(per_minute=600, keep_share=0.0, concurrency=1) as line:
        line.ask(Priority.DOWNLOAD, times=20)
        await settled()
        line.ask(Priority.POLL)
        line.ask(Priority.AUDIT)
        line.ask_on(Priority.DOWNLOAD)
        await line.clock.advance(40)
        line.ask(Priority.KEEP)
        await line.clock.advance(0.2)
        poll, audit = line.order.index(Priority.POLL), line.order.index(Priority.AUDIT)
        assert 20 <= poll <= 60
        assert 280 <= audit <= 340
        assert line.order.index(Priority.KEEP) >= len(line.order) - 2


async def test_what_is_not_keep_stays_out_of_its_share():
    """Downloads and polls together get the rate without the share."""
    async with standing_line(per_minute=600, keep_share=0.5) as line:
        line.ask(Priority.DOWNLOAD, times=60)
        line.ask(Priority.POLL, times=60)
        await line.clock.advance(10)
        assert most_in_any_window(line.times(Priority.DOWNLOAD, Priority.POLL), 5, 5) < 0.01


async def test_the_most_important_go_first_and_equals_in_order():
    """With one slot, those who wait come by priority whenever it is free."""
    async with standing_line(per_minute=60_000, concurrency=1) as line:
        (first,) = line.ask(Priority.AUDIT, hold=True)
        await settled()
        backwards = [Priority.AUDIT, Priority.BACKFILL, Priority.POLL, Priority.DOWNLOAD]
        for priority in backwards:
            line.ask(priority, times=2)
            await settled()
        first.set()
        await line.clock.advance(1)
        assert line.order == [Priority.AUDIT, *sorted(backwards * 2)]


async def test_keep_has_a_share_of_the_rate_when_all_else_is_saturated():
    """A keep is granted at the very moment it is asked for, behind two hundred downloads that used up the rate."""
    async with standing_line(per_minute=600, keep_share=0.1) as line:
        line.ask(Priority.DOWNLOAD, times=200)
        # Between two drops of the general rate.
        await line.clock.advance(3.05)
        line.ask(Priority.KEEP)
        await settled()
        assert line.times(Priority.KEEP) == [3.05]


async def test_keep_has_a_slot_when_all_others_are_taken():
    """One keep is served beside downloads that never end, and no other request is."""
    async with standing_line(per_minute=60_000, concurrency=2) as line:
        line.ask(Priority.DOWNLOAD, times=2, hold=True)
        await settled()
        line.ask(Priority.DOWNLOAD)
        line.ask(Priority.KEEP, times=2, hold=True)
        await line.clock.advance(5)
        assert line.order == [Priority.DOWNLOAD, Priority.DOWNLOAD, Priority.KEEP]


async def test_keep_may_use_the_rest_of_the_rate_too():
    """Without a share of its own it is served from the general rate, and first."""
    async with standing_line(per_minute=60, keep_share=0.0) as line:
        line.ask(Priority.POLL, times=3)
        line.ask(Priority.KEEP, times=2)
        await line.clock.advance(3.5)
        assert line.order == [Priority.POLL, Priority.KEEP, Priority.KEEP, Priority.POLL]


async def test_cancelled_waits_leave_nothing_behind():
    """Nobody waits, nobody sleeps, no slot is taken, and the next one is served as if they had never been."""
    async with standing_line(per_minute=60, keep_share=0.0, concurrency=1) as line:
        outer = line.group
        async with anyio.create_task_group() as crowd:
            line.group = crowd
            line.ask(Priority.DOWNLOAD, hold=True)
            await settled()
            line.ask(Priority.KEEP, times=3)
            line.ask(Priority.POLL, times=5)
            await settled()
            assert line.budget.waiting == 8
            crowd.cancel_scope.cancel()
        assert (line.budget.waiting, line.clock.sleeping) == (0, 0)
        line.group, line.granted = outer, []
        line.ask(Priority.AUDIT, hold=True)
        await line.clock.advance(1.1)
        assert line.order == [Priority.AUDIT]


async def test_a_cancelled_first_in_line_lets_the_next_one_through():
    """Who waits behind somebody that gives up takes over the wait."""
    async with standing_line(per_minute=60, keep_share=0.0) as line:
        line.ask(Priority.DOWNLOAD)
        await settled()
        patient = line.group
        async with anyio.create_task_group() as impatient:
            line.group = impatient
            line.ask(Priority.DOWNLOAD)
            await settled()
            line.group = patient
            line.ask(Priority.POLL)
            await line.clock.advance(0.5)
            impatient.cancel_scope.cancel()
        await line.clock.advance(0.6)
        assert line.order == [Priority.DOWNLOAD, Priority.POLL]


async def test_a_pause_holds_up_everybody_to_its_end():
    """Also those who were waiting before it, and keep; a shorter one does not cut it short."""
    async with standing_line(per_minute=6000) as line:
        line.budget.pause(30)
        line.budget.pause(5)
        line.ask(Priority.KEEP)
        line.ask(Priority.POLL)
        await line.clock.advance(29.9)
        assert line.granted == []
        await line.clock.advance(0.2)
        assert line.order == [Priority.KEEP, Priority.POLL]


async def test_a_pause_reaches_who_waits_already():
    """A wait of a second becomes one of a minute."""
    async with standing_line(per_minute=60, keep_share=0.0) as line:
        line.ask(Priority.POLL, times=2)
        await settled()
        line.budget.pause(60)
        await line.clock.advance(59)
        assert len(line.granted) == 1
        await line.clock.advance(2)
        assert len(line.granted) == 2


async def test_slowing_down_halves_once_in_a_moment():
    """Ten answers of one moment halve once, one of the next moment halves again, and there is an end to it."""
    async with standing_line() as line:
        for _ in range(10):
            line.budget.slow_down()
        assert line.budget.factor == 0.5
        line.clock.jump(1.5)
        line.budget.slow_down()
        assert line.budget.factor == 0.25
        for _ in range(10):
            line.clock.jump(1.5)
            line.budget.slow_down()
        assert 0 < line.budget.factor == 1 / 16


async def test_a_server_that_says_how_long_to_wait_slows_down_little():
    """The pause that it asked for is what counts."""
    async with standing_line() as line:
        line.budget.slow_down(30)
        assert line.budget.factor == 0.9


async def test_noise_is_no_limit():
    """Refusals that may be asked again at once, between answers that are none, change nothing; in a row, they do."""
    async with standing_line() as line:
        for number in range(100):
            line.clock.jump(1.5)
            line.budget.slow_down(0)
            if number % 2:
                line.budget.welcomed()
        assert line.budget.factor == 1.0
        for expected in (1.0, 1.0, 0.9, 0.81):
            line.clock.jump(1.5)
            line.budget.slow_down(0)
            assert line.budget.factor == expected


async def test_the_slower_rate_is_kept_and_recovers_minute_by_minute():
    """Half of it in the first minute, all of it some quiet minutes later, never more."""
    async with standing_line(per_minute=600, keep_share=0.0) as line:
        line.ask(Priority.POLL, times=10)
        await settled()
        line.budget.slow_down()
        line.ask(Priority.POLL, times=100)
        await line.clock.advance(10)
        slow = line.times(Priority.POLL)[10:]
        assert most_in_any_window(slow, 5, 5) < 0.01
        assert len(slow) >= 45
        line.clock.jump(300)
        line.ask(Priority.POLL, times=200)
        await line.clock.advance(10)
        assert line.budget.factor == 1.0
        later = [at for at in line.times(Priority.POLL) if at > 310]
        assert most_in_any_window(later, 10, 10) < 0.01
        assert len(later) >= 95

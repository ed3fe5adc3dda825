"""Another limit while downloads are under way."""

import anyio

from artifact_sync.core.timetable import Timetable
from artifact_sync.fetch.bandwidth import Bandwidth, Share
from artifact_sync.fetch.line import Line
from tests.unit.fetch.fetch_doubles import Answer
from tests.unit.gitlab.gitlab_clocks import HastyClock, StandingClock, settled

KIB, MIB = 1 << 10, 1 << 20


async def test_a_download_without_a_limit_takes_one_that_comes():
    """From the next chunk on, and is free of it again."""
    clock = HastyClock()
    bandwidth = Bandwidth(Timetable(), clock=clock, renewable=True)
    times = []
    async for _ in Line(bandwidth, clock).limited(Answer(bytes(MIB) for _ in range(30))).chunks():
        times.append(clock.monotonic())
        if len(times) == 10:
            bandwidth.renew(Timetable(otherwise=MIB))
        if len(times) == 20:
            bandwidth.renew(Timetable())
    assert times[9] == 0.0
    assert 9.0 < times[19] < 11.0
    assert times[29] == times[19]


async def test_who_waits_for_a_small_limit_goes_on_by_a_larger_one():
    """Not after the hours that the small one would have taken."""
    clock = StandingClock()
    bandwidth = Bandwidth(Timetable(otherwise=1), clock=clock, renewable=True)
    through = []

    async def download() -> None:
        await bandwidth.admit(Share(), MIB)
        through.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(download)
        await settled()
        await clock.advance(5)
        assert not through
        bandwidth.renew(Timetable(otherwise=MIB))
        await clock.advance(5)
    assert len(through) == 1


def test_only_what_is_never_renewed_is_surely_without_a_limit():
    """A body is handed on as it is then."""
    clock = HastyClock()
    assert Bandwidth(Timetable(), clock=clock).unlimited
    assert not Bandwidth(Timetable(), clock=clock, renewable=True).unlimited

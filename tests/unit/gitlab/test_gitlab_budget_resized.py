"""Another budget while requests wait for theirs."""

from itertools import pairwise

from artifact_sync.gitlab.bucket import Bucket
from artifact_sync.ports import Priority
from tests.unit.gitlab.test_gitlab_budget import standing_line


async def test_who_waits_goes_on_by_the_new_rate():
    """One a minute becomes sixty: those in line are through, in order, and no second has more than its worth."""
    async with standing_line(per_minute=1, keep_share=0.0) as line:
        line.ask(Priority.DOWNLOAD, times=10)
        await line.clock.advance(10)
        assert len(line.granted) == 1
        line.budget.resize(per_minute=60, keep_share=0.0, concurrency=4)
        await line.clock.advance(12)
        assert len(line.granted) == 10
        times = line.times(Priority.DOWNLOAD)[1:]
        assert all(later - earlier > 0.9 for earlier, later in pairwise(times))


async def test_more_slots_let_more_in_and_fewer_end_nothing():
    """What has a slot keeps it."""
    async with standing_line(per_minute=60_000, keep_share=0.0, concurrency=1) as line:
        held = line.ask(Priority.POLL, times=4, hold=True)
        await line.clock.advance(1)
        assert len(line.granted) == 1
        line.budget.resize(per_minute=60_000, keep_share=0.0, concurrency=3)
        await line.clock.advance(1)
        assert len(line.granted) == 3
        line.budget.resize(per_minute=60_000, keep_share=0.0, concurrency=1)
        held[0].set()
        await line.clock.advance(1)
        assert len(line.granted) == 3
        held[1].set()
        held[2].set()
        await line.clock.advance(1)
        assert len(line.granted) == 4


async def test_a_server_that_was_too_busy_is_asked_less_by_the_new_rate_too():
    """A reload is no news of the server."""
    async with standing_line(per_minute=600, keep_share=0.1) as line:
        line.budget.slow_down()
        line.budget.resize(per_minute=600, keep_share=0.1, concurrency=4)
        assert line.budget.factor == 0.5


def test_resizing_again_and_again_gives_nothing_away():
    """What may be taken at once comes with time alone."""
    bucket = Bucket(2.0, 0.0)
    taken = 0
    for _ in range(100):
        bucket.resize(2.0, 1.0, 0.0)
        while not bucket.wait(0.0):
            bucket.take(0.0)
            taken += 1
    assert taken == 2

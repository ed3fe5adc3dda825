"""How often webhooks make the daemon look, and at what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.hints import Hint
from artifact_sync.core.model import Job
from artifact_sync.engine.hints import Hints
from artifact_sync.engine.pace import Pace
from tests.unit.gitlab.gitlab_clocks import StandingClock


@pytest.fixture
def clock():
    """Stands still."""
    return StandingClock()


def hint(project=1, pipeline=5, job=7) -> Hint:
    """Of this job."""
    return Hint(project_id=project, pipeline_id=pipeline, job_id=job)


def job(number, status="success") -> Job:
    """As GitLab shows it."""
    return Job(id=number, name="build", stage="test", status=status, ref="main")


def drained(hints, clock, *, project=1, seconds=60.0, jobs=()) -> list[tuple[float, int]]:
    """Look whenever it may be, for so long: when, and at which pipeline."""
    looks, end = [], clock.monotonic() + seconds
    while (wait := hints.wait(project)) is not None and clock.monotonic() + wait <= end:
        clock.jump(wait)
        if wait == 0:
            hinted = hints.take(project)
            looks.append((round(clock.monotonic(), 2), hinted.pipeline_id))
            hints.looked(project, hinted, jobs)
    return looks


def test_the_first_hint_is_looked_at_within_a_moment(clock):
    """Long enough for the webhook of the pipeline to come with that of its job."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint())
    hints.add(hint(job=None))
    assert drained(hints, clock, jobs=[job(7)]) == [(0.2, 5)]
    assert len(hints) == 0


def test_hints_of_one_pipeline_are_one(clock):
    """However many of its jobs end at once."""
    hints = Hints(clock, per_minute=600)
    for number in range(1000):
        assert hints.add(hint(job=number))
    assert len(hints) == 1
    assert len(drained(hints, clock, jobs=[job(number) for number in range(1000)])) == 1


def test_a_pipeline_is_not_looked_at_twice_within_two_seconds(clock):
    """Nor is what is said meanwhile forgotten."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint())
    first = drained(hints, clock, jobs=[job(7)])
    hints.add(hint(job=8))
    assert drained(hints, clock, jobs=[job(7), job(8)]) == [(first[0][0] + 2.0, 5)]


def test_an_end_that_gitlab_does_not_show_yet_is_looked_for_again(clock):
    """A replica of its database may lag; somebody may also lie, so that it is not looked for without an end."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint())
    looks = drained(hints, clock, seconds=1000, jobs=[job(7, "running"), job(8)])
    assert [at for at, _ in looks] == [0.2, 2.2, 12.2, 72.2]
    assert len(hints) == 0


def test_what_is_said_again_is_looked_at_at_once(clock):
    """Though it was not seen before."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint())
    drained(hints, clock, seconds=3, jobs=[job(8)])
    waits = [hints.wait(1) or 0]
    hints.add(hint())
    waits.append(hints.wait(1) or 0)
    assert waits[0] > 5
    assert waits[1] <= 2


def test_a_pipeline_that_is_not_there_is_not_looked_for_again(clock):
    """Whoever said so was wrong."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint())
    assert len(drained(hints, clock, seconds=1000, jobs=())) == 1


def test_a_crowded_project_is_polled_and_what_runs_is_looked_at_after_that(clock):
    """What comes meanwhile stays, and what the poll has told of goes; those that run do not make a crowd again."""
    hints = Hints(clock, per_minute=60_000)
    for number in range(1, 41):
        hints.add(hint(pipeline=number, job=None))
    clock.jump(0.2)
    assert hints.wait(1) == 0
    assert hints.crowded(1)
    taken = hints.take_all(1)
    assert (len(taken), len(hints), hints.wait(1)) == (40, 0, None)
    hints.add(hint(pipeline=99, job=None))
    hints.polled(1, taken, range(1, 31))
    assert len(hints) == 31
    assert hints.wait(1) == 5.0
    clock.jump(5)
    assert hints.wait(1) == 0
    assert not hints.crowded(1)
    assert {pipeline for _, pipeline in drained(hints, clock)} == {*range(1, 31), 99}
    assert len(hints) == 0


def test_in_a_flood_the_newest_is_looked_at_first(clock):
    """And before what was looked at in vain; nothing of it is forgotten."""
    hints = Hints(clock, per_minute=60_000)
    hints.add(hint(pipeline=1))
    assert drained(hints, clock, seconds=1, jobs=[job(8)]) == [(0.2, 1)]
    clock.jump(10)
    for number in range(2, 6):
        hints.add(hint(pipeline=number, job=None))
        clock.jump(0.1)
    clock.jump(0.2)
    assert [pipeline for _, pipeline in drained(hints, clock, seconds=5)] == [5, 4, 3, 2, 1]


def test_a_look_that_failed_is_repeated(clock):
    """Also one for a pipeline alone; polling goes on beside it."""
    hints = Hints(clock, per_minute=600)
    hints.add(hint(job=None))
    assert len(drained(hints, clock, seconds=1000, jobs=None)) == 4


def test_what_is_too_much_is_left_to_polling(clock):
    """Of one project, and in all; what waits is known by so many numbers, and never by more."""
    hints = Hints(clock, per_minute=600)
    assert sum(hints.add(hint(pipeline=number)) for number in range(1, 1001)) == 500
    assert sum(hints.add(hint(project, number)) for project in range(2, 40) for number in range(1, 501)) == 9_500
    assert len(hints) == 10_000
    # Of a pipeline that waits already there may be more.
    assert hints.add(hint(pipeline=1, job=8))
    hints.forget(2)
    assert len(hints) == 9_500


def test_a_flood_uses_a_part_of_the_budget_alone(clock):
    """One project, or many, all with pipelines that are new each time: 200 looks a minute, and some at the beginning."""
    hints = Hints(clock, per_minute=200)
    looks = 0
    for step in range(12_000):
        for project in range(1, 6):
            hints.add(hint(project, pipeline=step % 400 + 1, job=None))
            if hints.wait(project) == 0:
                hints.looked(project, hints.take(project), [job(1)])
                looks += 1
        clock.jump(0.05)
    assert 1900 <= looks <= 2000 + 200 * 10 / 60 + 5


def test_a_pipeline_of_many_pages_counts_as_many_looks(clock):
    """A thousand jobs are ten requests."""
    hints = Hints(clock, per_minute=60)
    for number in range(1, 100):
        hints.add(hint(pipeline=number, job=None))
    assert len(drained(hints, clock, seconds=60, jobs=[job(number) for number in range(1000)])) < 12


@given(
    asked=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=80),
    per_minute=st.sampled_from([20.0, 60.0, 600.0]),
)
def test_turns_come_in_order_and_no_stretch_has_more_than_the_rate_and_the_burst(asked, per_minute):
    """Whenever they are asked for."""
    pace, now, turns = Pace(per_minute), 0.0, []
    for pause in asked:
        now += pause
        turns.append(pace.reserve(now))
        assert turns[-1] >= now
    assert turns == sorted(turns)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            assert last - first + 1 <= (turns[last] - turns[first] + 10) * per_minute / 60 + 1.001

"""How often GitLab is asked to keep where it refuses."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.engine.refusals import Refusals
from tests.unit.engine.engine_doubles import START

MINUTE = timedelta(minutes=1)


def test_who_never_refused_is_asked_at_once():
    """Whatever others do."""
    refusals = Refusals()
    refusals.refused(1, "main", START)
    assert refusals.until(2, "main", START) is None


def test_the_wait_for_a_ref_doubles_to_half_an_hour():
    """Each time that it is asked and refuses again."""
    refusals, now, waits = Refusals(), START, []
    for _ in range(12):
        until = refusals.refused(1, "main", now)
        assert refusals.until(1, "main", now) == until
        assert refusals.until(1, "main", until) is None
        waits.append((until - now).total_seconds())
        now = until
    assert waits[:4] == [15, 30, 60, 120]
    assert waits[-1] == 1800


def test_another_ref_is_tried_sooner_than_the_one_that_refuses():
    """A protected branch refuses again and again; that does not keep the others from being asked."""
    refusals, now = Refusals(), START
    for _ in range(10):
        now = refusals.refused(1, "main", now)
    assert refusals.until(1, "main", now - MINUTE) == now
    assert refusals.until(1, "topic", START + MINUTE) is None


def test_refusals_of_one_moment_count_as_one():
    """Several keeps are under way at once."""
    refusals = Refusals()
    first = refusals.refused(1, "main", START)
    assert refusals.refused(1, "main", START + timedelta(seconds=1)) == first


def test_refs_are_forgotten_in_time():
    """A project that refuses has new tags for ever, and memory has not."""
    refusals = Refusals()
    for day in range(100):
        refusals.refused(1, f"v{day}", START + day * timedelta(days=1))
    assert len(refusals._projects[1].refs) <= 2


def test_one_grant_ends_the_wait_of_the_whole_project():
    """Maintenance is over for all refs at the same time; the caller learns what to bring forward."""
    refusals = Refusals()
    refusals.refused(1, "main", START)
    later = refusals.refused(1, "topic", START)
    until = refusals.granted(1)
    assert until is not None
    assert until >= later
    assert refusals.until(1, "main", START) is None
    assert refusals.granted(1) is None


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 600)), max_size=200))
def test_a_project_that_refuses_everything_is_asked_a_few_times_an_hour(asks):
    """However many refs and jobs it has: each ref seldom, and new refs at most every so often."""
    refusals, now, asked = Refusals(), START, []
    for ref, seconds in asks:
        now += timedelta(seconds=seconds)
        if refusals.until(1, ref, now) is None:
            refusals.refused(1, ref, now)
            asked.append((ref, now))
    for ref in "abcdefgh":
        times = [at for name, at in asked if name == ref]
        for number, (one, two) in enumerate(pairwise(times)):
            assert two - one >= min(timedelta(seconds=15 * 2**number), timedelta(minutes=30))

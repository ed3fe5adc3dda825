"""The small parts: one error out of many, the bell, a walk's memory, the end of history, the keeper's arithmetic."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.model import Job, KeepDue, Pipeline
from artifact_sync.engine import EnginePolicy
from artifact_sync.engine.bell import Bell, rung
from artifact_sync.engine.groups import single_error
from artifact_sync.engine.judging import Walk, all_before
from artifact_sync.engine.keeper import Keeper
from artifact_sync.engine.means import Means
from artifact_sync.errors import NoSpace, NotFound, StateError, Transient
from artifact_sync.gitlab import SystemClock
from tests.unit.engine.engine_doubles import START, DrivenClock

NEVER = 3600.0


# --- groups ---


def failing(*errors: BaseException) -> Callable[[], None]:
    """A group of these, as task groups make it."""

    def nested() -> None:
        with single_error():
            raise BaseExceptionGroup("tasks", errors)

    return nested


def test_the_gravest_error_comes_out():
    """That with the highest exit code, however deep, with the group as its cause."""
    state = StateError("malformed")
    group = ExceptionGroup("inner", [Transient("GET x", "503"), ExceptionGroup("deeper", [state])])
    with pytest.raises(StateError) as raised:
        failing(NotFound("GET y", "404"), group)()
    assert raised.value is state
    assert isinstance(raised.value.__cause__, BaseExceptionGroup)


def test_the_first_of_equals_comes_out():
    """Nothing is graver than the first, then."""
    with pytest.raises(NoSpace):
        failing(NoSpace("full"), StateError("malformed"))()


@pytest.mark.parametrize("other", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_foreign_error_is_not_hidden(other):
    """A bug, or a stop, comes out with everything that was beside it."""
    with pytest.raises(BaseExceptionGroup) as raised:
        failing(StateError("malformed"), other)()
    assert other in raised.value.exceptions


def test_an_error_without_a_group_passes():
    """As it is."""
    error = StateError("malformed")
    with pytest.raises(StateError) as raised, single_error():
        raise error
    assert raised.value is error


async def test_of_a_task_group():
    """Two tasks that fail at once end as one error."""

    async def fail(error: Exception) -> None:
        raise error

    async def both() -> None:
        with single_error():
            async with anyio.create_task_group() as group:
                group.start_soon(fail, Transient("GET x", "503"))
                group.start_soon(fail, StateError("malformed"))

    with pytest.raises(StateError):
        await both()


# --- the bell ---


async def test_a_ring_wakes_everybody():
    """Who waits now."""
    bell, woken = Bell(), []

    async def sleeper(name):
        await rung(bell.next_ring, NEVER, SystemClock())
        woken.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for name in range(3):
                group.start_soon(sleeper, name)
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            bell.ring()
    assert sorted(woken) == [0, 1, 2]


async def test_a_ring_before_the_wait_is_heard():
    """Between the look for work and the wait nothing is missed."""
    bell = Bell()
    ring = bell.next_ring
    bell.ring()
    with anyio.fail_after(5):
        await rung(ring, NEVER, SystemClock())
    assert not bell.next_ring.is_set()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.01])
async def test_without_a_ring_the_wait_ends(seconds):
    """After its time, also when that is past already."""
    bell = Bell()
    with anyio.fail_after(5):
        await rung(bell.next_ring, seconds, SystemClock())
    assert not bell.next_ring.is_set()


# --- judging ---


def job(job_id: int, name: str = "build", pipeline: int = 1, **more: Any) -> Job:
    """A job of a pipeline."""
    return Job(id=job_id, name=name, status="success", pipeline=Pipeline(id=pipeline), **more)


def test_a_walk_from_the_top_knows_who_was_retried():
    """The newest of a name in a pipeline is not; those behind it are."""
    walk = Walk(from_top=True)
    seen = []
    for each in (job(9), job(8, "test"), job(7), job(6, pipeline=2), job(5)):
        seen.append(walk.retried(each))
        walk.meet(each)
    assert seen == [False, False, True, False, True]


def test_a_walk_from_the_middle_does_not_know():
    """It has not met what came before, but knows of what it met."""
    walk = Walk(from_top=False)
    assert walk.retried(job(7)) is None
    walk.meet(job(7))
    assert (walk.retried(job(5)), walk.retried(job(5, pipeline=2))) == (True, None)


def test_no_job_supersedes_itself():
    """A page that is walked again after a failure finds what it found before."""
    walk = Walk(from_top=True)
    for _ in range(2):
        assert [walk.retried(each) for each in (job(9), job(7, "test"))] == [False, False]
        for each in (job(9), job(7, "test"), job(5)):
            walk.meet(each)
    assert walk.retried(job(5)) is True


def test_a_job_without_a_pipeline_was_not_retried():
    """Nothing could be told of it."""
    walk = Walk(from_top=True)
    loose = Job(id=7, name="build", status="success")
    walk.meet(loose)
    assert walk.retried(loose) is False


def test_where_history_ends():
    """Where a whole page was created before the horizon; a page of nothing, or of jobs without a date, is no end."""
    old, new = job(1, created_at=START - timedelta(days=9)), job(2, created_at=START)
    horizon = START - timedelta(days=1)
    assert all_before([old, old], horizon)
    assert not all_before([new, old], horizon)
    assert not all_before([old, job(3)], horizon)
    assert not all_before([], horizon)
    assert not all_before([old], None)


# --- the keeper ---


def again_after(left: float, attempts: int) -> float | None:
    """Seconds until a failed keep is called again, with this much left before the expiry; None: not at all."""
    means = Means(remote=None, state=None, clock=DrivenClock(), rules=(), policy=EnginePolicy(), emit=print)  # type: ignore[arg-type]  # arithmetic asks nobody
    keeper = Keeper(means)
    due = KeepDue(
        project_id=1,
        project_path="acme/app",
        job_id=7,
        job_name="build",
        rule="r",
        due_at=START,
        expire_at=START + timedelta(seconds=left),
        attempts=attempts,
    )
    again = keeper._again_at(due, START)
    return None if again is None else (again - START).total_seconds()


@given(left=st.floats(0.001, 1e8), attempts=st.integers(0, 10_000))
def test_a_failed_keep_is_called_again_in_time(left, attempts):
    """Never twice within a second, and with three quarters of the time still left; a first one within seconds."""
    after = again_after(left, attempts)
    assert after is not None
    assert after >= 1
    assert after <= max(1, left / 4 + 1e-6)
    first = again_after(left, 0)
    assert first is not None
    assert first <= 15


@given(left=st.floats(8, 1e8))
def test_several_calls_fit_in_before_the_expiry(left):
    """Whatever is left when the first one fails."""
    calls, passed = 0, 0.0
    while passed < left:
        wait = again_after(left - passed, calls)
        assert wait is not None
        passed, calls = passed + wait, calls + 1
        if calls > 50:
            break
    assert calls >= 6


@given(left=st.floats(-1e8, 0))
def test_after_the_expiry_there_is_no_call(left):
    """GitLab would answer 404."""
    assert again_after(left, 0) is None

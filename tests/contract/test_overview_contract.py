"""What every overview must tell of a state."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from artifact_sync.core.model import Transfer
from artifact_sync.errors import Outcome, StateError
from artifact_sync.ports import Published, TransferState, Trouble
from artifact_sync.ports.overview import Backlog, Overview, RuleLag, Standing
from artifact_sync.state.overview import SqliteOverview
from tests.storage import HOUR, NOW, progress, staged_file, transfer

#: A new adapter is one line here, beside its state in conftest.py.
OVERVIEWS: dict[str, Callable[..., Overview]] = {"sqlite": SqliteOverview}
ENDED = NOW - HOUR


@pytest.fixture
def overview(state_kind, state) -> Callable[..., Overview]:
    """Makes the overview under test, over the state under test."""

    def made(rules: Sequence[str] = ("releases",)) -> Overview:
        return OVERVIEWS[state_kind](state, lambda: rules)

    return made


def found(job_id: int, *, ended: datetime | None = ENDED, size: int | None = None, **of: Any) -> Transfer:
    """A transfer of a job that ended then, of announced size."""
    made = transfer(job_id, **of)
    items = tuple(msgspec.structs.replace(item, size=size) for item in made.items)
    return msgspec.structs.replace(made, job=msgspec.structs.replace(made.job, finished_at=ended), items=items)


async def add(state, *transfers) -> None:
    """Queue these."""
    await state.save_progress(progress(), found=transfers, now=NOW)


async def publish(queue, size=1) -> int:
    """Bring the next one to its end; its job's id."""
    queued = await queue.claim(NOW)
    await queue.stage(queued.id, [staged_file("artifacts.zip", b"x" * size, "p")])
    await queue.publish(queued.id, Published(dest=queued.transfer.dest, size=size, manifest_sha256="a" * 64), NOW)
    return int(queued.transfer.job.id)


async def test_a_rule_without_any_job_lags_by_nothing(overview):
    """Every configured rule is told of, in order, also before anything was found."""
    lags = await overview(["releases", "nightly"]).lags()
    assert lags == (RuleLag(rule="releases"), RuleLag(rule="nightly"))
    assert [lag.lag for lag in lags] == [timedelta(), timedelta()]


async def test_the_lag_runs_from_the_newest_mirrored_job_to_the_newest_one(state, queue, overview):
    """Whatever waits in between; it ends when the newest is mirrored, even where older ones still wait."""
    of = {1: 5, 2: 3, 3: 1}
    await add(state, *(found(job, ended=NOW - hours * HOUR, priority=-job) for job, hours in of.items()))
    assert (await overview().lags())[0].lag == 4 * HOUR
    assert await publish(queue) == 1
    (lag,) = await overview().lags()
    assert lag == RuleLag(
        rule="releases",
        newest_finished=NOW - HOUR,
        newest_mirrored=NOW - 5 * HOUR,
        oldest_waiting=NOW - 3 * HOUR,
        waiting=2,
    )
    assert lag.lag == 4 * HOUR
    assert [await publish(queue), await publish(queue)] == [2, 3]
    (lag,) = await overview().lags()
    assert (lag.lag, lag.waiting, lag.oldest_waiting) == (timedelta(), 0, None)


async def test_an_end_that_cannot_be_is_not_the_newest_for_ever(state, overview):
    """It counts as when the job began, or no rule would ever lag again."""
    odd = found(2, ended=NOW.replace(year=9000))
    odd = msgspec.structs.replace(odd, job=msgspec.structs.replace(odd.job, started_at=NOW - 3 * HOUR))
    await add(state, found(1, ended=NOW - 5 * HOUR), odd)
    (lag,) = await overview().lags()
    assert (lag.newest_finished, lag.oldest_waiting) == (NOW - 3 * HOUR, NOW - 5 * HOUR)


async def test_a_transfer_of_several_rules_counts_for_each_of_them(state, queue, overview):
    """Rules that are not configured any more are not told of."""
    await add(
        state,
        found(1, rules=("releases", "nightly", "gone"), ended=NOW - 2 * HOUR, priority=1),
        found(2, rules=("nightly",), ended=NOW - HOUR),
    )
    await publish(queue)
    releases, nightly = await overview(["releases", "nightly"]).lags()
    assert (releases.waiting, releases.lag) == (0, timedelta())
    assert (nightly.waiting, nightly.lag) == (1, HOUR)


async def test_what_failed_for_good_lags_and_does_not_wait(state, queue, overview):
    """Nobody tries it any more, and the mirror is behind because of it."""
    await add(state, found(1, ended=NOW - 3 * HOUR, priority=1), found(2, ended=NOW - HOUR))
    await publish(queue)
    queued = await queue.claim(NOW)
    await queue.fail(queued.id, Outcome.CORRUPT, "no", retry_at=None)
    (lag,) = await overview().lags()
    assert (lag.waiting, lag.lag) == (0, 2 * HOUR)


async def test_a_job_without_an_end_is_no_measure(state, overview):
    """GitLab did not say when it ended: nothing can be told of its time, and it waits all the same."""
    await add(state, found(1, ended=None))
    (lag,) = await overview().lags()
    assert lag == RuleLag(rule="releases", waiting=1)


async def test_at_risk_is_what_expires_within_each_span_and_is_not_mirrored(state, queue, overview):
    """Also what has expired already, and what is being downloaded; neither what has no deadline, nor what is mirrored."""
    deadlines = {1: -HOUR, 2: HOUR, 3: HOUR + timedelta(microseconds=1), 4: 23 * HOUR, 5: 30 * HOUR}
    spans = [HOUR, 6 * HOUR, 24 * HOUR]
    await add(state, found(9), *(found(job, deadline=NOW + offset) for job, offset in deadlines.items()))
    assert tuple(await overview().at_risk(NOW, spans)) == (2, 3, 4)
    assert await publish(queue) == 1
    assert (await queue.claim(NOW)).transfer.job.id == 2
    assert tuple(await overview().at_risk(NOW, spans)) == (1, 2, 3)
    assert tuple(await overview().at_risk(NOW + 24 * HOUR, spans)) == (3, 4, 4)


async def test_the_backlog_has_every_state_with_its_bytes(state, queue, overview):
    """As announced until they are published, and as they are from then on."""
    empty = await overview().backlog()
    assert empty == dict.fromkeys(TransferState, Backlog())
    await add(state, *(found(job, size=100 * job, priority=-job) for job in (1, 2, 3, 4)), found(5, priority=-9))
    await publish(queue, size=7)
    assert (await queue.claim(NOW)).transfer.job.id == 2
    await queue.fail((await queue.claim(NOW)).id, Outcome.CORRUPT, "no", retry_at=None)
    assert await overview().backlog() == empty | {
        TransferState.PUBLISHED: Backlog(count=1, bytes=7),
        TransferState.DOWNLOADING: Backlog(count=1, bytes=200),
        TransferState.FAILED: Backlog(count=1, bytes=300),
        TransferState.WANTED: Backlog(count=2, bytes=400),
    }


async def test_what_was_lost_is_a_state_of_its_own(state, queue, overview):
    """It waits again, and its bytes are what was announced."""
    await add(state, found(1, size=50))
    await publish(queue)
    (queued,) = await state.find(1, 1)
    assert await state.damaged(queued.id)
    backlog = await overview().backlog()
    assert backlog[TransferState.LOST] == Backlog(count=1, bytes=50)
    assert backlog[TransferState.WANTED] == backlog[TransferState.PUBLISHED] == Backlog()
    assert (await overview().lags())[0].waiting == 1


async def test_only_a_state_error_comes_out_of_a_broken_row(state, overview):
    """Rows that were changed by hand are an error of the state, which says what to do."""
    await add(state, found(1))
    await state.write(lambda database: database.execute("UPDATE transfer SET transfer = '{'"))
    with pytest.raises(StateError):
        await overview().lags()
    with pytest.raises(StateError):
        await overview().backlog()


async def test_the_rest_is_told_in_figures(state, queue, overview):
    """Counts, hooks, projects and their last poll, troubles, keeps, and what was not read again for longest."""
    empty = await overview().standing()
    assert empty == Standing(
        counts={},
        hooks={},
        projects=0,
        polled_at=None,
        troubles=0,
        keeps_due=0,
        oldest_verified=None,
        in_trash=0,
        trash_bytes=0,
    )
    await state.save_progress(replace(progress(), polled_at=NOW), found=[found(1)], now=NOW)
    await state.save_progress(replace(progress(2), polled_at=NOW - HOUR), now=NOW)
    await publish(queue)
    await state.count({"scrub.bytes": 5})
    await state.note_trouble(Trouble(subject="group/gone", error="404", hint="look", since=NOW))
    standing = await overview().standing()
    assert (standing.projects, standing.polled_at, standing.troubles) == (2, NOW, 1)
    assert (standing.oldest_verified, standing.counts) == (NOW, {"scrub.bytes": 5})

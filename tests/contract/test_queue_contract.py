"""What every queue must do."""

import asyncio
from collections import Counter
from datetime import timedelta

import anyio
import pytest

from artifact_sync.errors import Outcome, StateError
from artifact_sync.ports import Published, QueuedTransfer, TransferState
from tests.storage import HOUR, NOW, progress, staged_file, transfer

DAY = timedelta(days=1)

FILE = staged_file("artifacts.zip", b"x", "p")


def published(dest="d") -> Published:
    """What the store says."""
    return Published(dest=dest, size=1, manifest_sha256="0" * 64)


async def add(state, *found) -> list[int]:
    """Queue these; their ids."""
    return [queued.id for queued in await state.save_progress(progress(), found=found, now=NOW)]


async def only(state) -> QueuedTransfer:
    """The one transfer of job 7."""
    (known,) = await state.find(1, 7)
    assert isinstance(known, QueuedTransfer)
    return known


async def test_the_order_of_claims(state, queue):
    """Soonest deadline; where none presses fresh before backfill, then priority, then the newest job."""
    expected = [
        transfer(1, deadline=NOW - HOUR, backfill=True),
        transfer(2, deadline=NOW + HOUR, priority=5),
        transfer(3, deadline=NOW + HOUR),
        transfer(4, deadline=NOW + HOUR, priority=-1),
        transfer(5, deadline=NOW + 2 * HOUR, priority=9),
        transfer(9),
        transfer(8),
        transfer(6, priority=1, backfill=True),
        transfer(11, backfill=True),
        transfer(10, backfill=True),
    ]
    await add(state, *(expected[n] for n in (6, 3, 0, 9, 7, 1, 8, 4, 2, 5)))
    order = [await queue.claim(NOW) for _ in expected]
    assert [queued.transfer.job.id for queued in order] == [each.job.id for each in expected]
    assert await queue.claim(NOW) is None


async def test_projects_take_turns(state, queue):
    """Hundreds of one project's jobs do not keep another's few waiting, as long as nothing presses."""
    many = [transfer(100 + n, project_id=1, deadline=NOW + 30 * DAY) for n in range(6)]
    few = [transfer(200 + n, project_id=2, deadline=NOW + 60 * DAY) for n in range(2)]
    await add(state, *many, *few)
    claimed = [await queue.claim(NOW) for _ in range(8)]
    assert [queued.transfer.project_id for queued in claimed] == [1, 2, 1, 2, 1, 1, 1, 1]


async def test_what_presses_goes_first_whosever_it_is(state, queue):
    """Within a week of the deadline the order is strictly by deadline; fairness is for those with time."""
    await add(
        state,
        transfer(1, project_id=1, deadline=NOW + 2 * DAY),
        transfer(2, project_id=1, deadline=NOW + 3 * DAY),
        transfer(3, project_id=2, deadline=NOW + 6 * DAY),
        transfer(4, project_id=2, priority=100, deadline=NOW + 8 * DAY),
    )
    claimed = [await queue.claim(NOW) for _ in range(4)]
    assert [queued.transfer.job.id for queued in claimed] == [1, 2, 3, 4]


async def test_nothing_waits_for_ever(state, queue):
    """A job without a deadline presses a week after it was found, and then goes before deadlines that are later."""
    await add(state, transfer(1))
    later = NOW + 8 * DAY
    await state.want([transfer(2, deadline=later + 8 * DAY), transfer(3, deadline=later + HOUR)], now=later)
    claimed = [await queue.claim(later) for _ in range(3)]
    assert [queued.transfer.job.id for queued in claimed] == [3, 1, 2]


async def test_a_claim_is_downloading(state, queue):
    """And what recovery would look at."""
    await add(state, transfer())
    claimed = await queue.claim(NOW)
    assert (claimed.state, claimed.attempts) == (TransferState.DOWNLOADING, 0)
    assert await state.unfinished() == (claimed,)
    assert await queue.open_count() == 1


async def test_many_callers_never_get_the_same(state, queue):
    """300 transfers, 20 workers, each transfer once."""
    ids = await add(state, *(transfer(n) for n in range(1, 301)))
    taken: list[int] = []

    async def work() -> None:
        while (queued := await queue.claim(NOW)) is not None:
            taken.append(queued.id)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert Counter(taken) == Counter(ids)


async def test_ten_thousand_transfers_are_claimed_in_order(state, queue):
    """A backlog of that size neither loses nor reorders."""
    await add(state, *(transfer(n, deadline=NOW + (n % 97) * HOUR, priority=n % 3) for n in range(1, 10_001)))
    claimed = [await queue.claim(NOW) for _ in range(10_000)]
    keys = [(each.transfer.deadline, -each.transfer.priority, -each.transfer.job.id) for each in claimed]
    assert len({each.id for each in claimed}) == 10_000
    assert keys == sorted(keys)
    assert await queue.claim(NOW) is None


async def test_the_way_to_publication(state, queue):
    """WANTED, DOWNLOADING, STAGED with the files, PUBLISHED with the files."""
    (queued,) = await add(state, transfer())
    await queue.claim(NOW)
    await queue.stage(queued, [FILE])
    staged = await only(state)
    assert (staged.state, staged.files) == (TransferState.STAGED, (FILE,))
    await queue.publish(queued, published(), NOW)
    done = await only(state)
    assert (done.state, done.files, done.published_at) == (TransferState.PUBLISHED, (FILE,), NOW)
    assert (done.outcome, done.error) == (Outcome.PUBLISHED, "")
    assert await queue.open_count() == 0
    assert (await state.summary()).published_bytes == 1


async def test_a_release_counts_no_attempt(state, queue):
    """A stop, a full disk or a lost credential is not the transfer's fault."""
    (queued,) = await add(state, transfer())
    for _ in range(3):
        await queue.claim(NOW)
        await queue.release(queued)
    known = await only(state)
    assert (known.state, known.attempts, known.files) == (TransferState.WANTED, 0, ())


async def test_a_staged_transfer_can_be_released(state, queue):
    """Recovery does so when its parts are not what they should be."""
    (queued,) = await add(state, transfer())
    await queue.claim(NOW)
    await queue.stage(queued, [FILE])
    await queue.release(queued)
    known = await only(state)
    assert (known.state, known.files) == (TransferState.WANTED, ())


async def test_a_failure_waits_for_its_time(state, queue):
    """It is counted, told, and not claimed before its time."""
    (queued,) = await add(state, transfer())
    await queue.claim(NOW)
    await queue.fail(queued, Outcome.CORRUPT, "crc", retry_at=NOW + HOUR)
    known = await only(state)
    assert (known.state, known.attempts, known.outcome, known.error) == (
        TransferState.WANTED,
        1,
        Outcome.CORRUPT,
        "crc",
    )
    assert known.next_attempt_at == NOW + HOUR
    assert await queue.claim(NOW) is None
    assert await queue.next_attempt(NOW) == NOW + HOUR
    assert (await queue.claim(NOW + HOUR)).id == queued


async def test_a_failure_without_a_time_is_final(state, queue):
    """It is not claimed again and not open."""
    (queued,) = await add(state, transfer())
    await queue.claim(NOW)
    await queue.fail(queued, Outcome.GONE, "404", retry_at=None)
    assert (await only(state)).state is TransferState.FAILED
    assert await queue.claim(NOW + 9 * HOUR) is None
    assert await queue.open_count() == 0
    assert await queue.next_attempt(NOW) is None


async def test_one_that_waits_lets_others_by(state, queue):
    """A retry time hides only its own transfer."""
    first, second = await add(state, transfer(1, deadline=NOW + HOUR), transfer(2))
    await queue.claim(NOW)
    await queue.fail(first, Outcome.RETRY_LATER, "503", retry_at=NOW + HOUR)
    assert await queue.next_attempt(NOW) == NOW
    assert (await queue.claim(NOW)).id == second


async def test_what_is_lost_is_wanted_and_remembered(state, queue):
    """LOST until it is back, through a failed attempt too."""
    (queued,) = await add(state, transfer())
    await queue.claim(NOW)
    await queue.stage(queued, [FILE])
    await queue.publish(queued, published(), NOW)
    await queue.lost(queued)
    assert (await only(state)).state is TransferState.LOST
    assert await queue.open_count() == 1
    assert (await queue.claim(NOW)).id == queued
    await queue.fail(queued, Outcome.RETRY_LATER, "503", retry_at=NOW)
    assert (await only(state)).state is TransferState.LOST
    await queue.claim(NOW)
    await queue.stage(queued, [FILE])
    await queue.publish(queued, published(), NOW)
    assert (await only(state)).state is TransferState.PUBLISHED
    assert (await state.summary()).by_state[TransferState.LOST] == 0


async def test_a_step_out_of_order_is_refused(state, queue):
    """Publishing what was never staged would be a lie that survives restarts."""
    (queued,) = await add(state, transfer())
    for step in (
        queue.stage(queued, [FILE]),
        queue.publish(queued, published(), NOW),
        queue.lost(queued),
        queue.release(4711),
        queue.fail(4711, Outcome.GONE, "", retry_at=None),
    ):
        with pytest.raises(StateError):
            await step
    assert (await only(state)).state is TransferState.WANTED


async def test_a_cancelled_caller_holds_nothing(state, queue):
    """Whether by a scope or by the task, at any moment of the call."""
    await add(state, *(transfer(n) for n in range(1, 101)))

    async def claim_and_give_back() -> None:
        queued = await queue.claim(NOW)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await queue.release(queued.id)

    for turns in range(40):
        async with anyio.create_task_group() as group:
            group.start_soon(claim_and_give_back)
            for _ in range(turns):
                await asyncio.sleep(0)
            group.cancel_scope.cancel()
        task = asyncio.create_task(claim_and_give_back())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await state.unfinished() == ()
    assert await queue.open_count() == 100

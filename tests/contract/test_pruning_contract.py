"""What every state must remember of retention."""

from datetime import timedelta

import pytest

from artifact_sync.core.model import KeepDue
from artifact_sync.errors import StateError
from artifact_sync.ports import (
    PinnedJob,
    Pruned,
    PruneOrder,
    PruneReport,
    Published,
    QueuedTransfer,
    RetentionLook,
    TransferState,
)
from tests.storage import HOUR, NOW, progress, staged_file, transfer

DAY = timedelta(days=1)


async def published(state, queue, job_id=7, **other) -> QueuedTransfer:
    """A publication of a job."""
    (new,) = await state.save_progress(progress(), found=[transfer(job_id, **other)], now=NOW)
    claimed = await queue.claim(NOW)
    assert claimed.id == new.id
    await queue.stage(claimed.id, [staged_file("artifacts.zip", b"job %d" % job_id, "p")])
    await queue.publish(claimed.id, Published(dest=new.transfer.dest, size=5, manifest_sha256="0" * 64), NOW)
    return await only(state, job_id)


async def only(state, job_id=7) -> QueuedTransfer:
    """The one transfer of a job."""
    (known,) = await state.find(1, job_id)
    assert isinstance(known, QueuedTransfer)
    return known


async def pruned(state, queue, job_id=7, *, at=NOW, **other) -> QueuedTransfer:
    """One that retention took."""
    queued = await published(state, queue, job_id, **other)
    assert await state.pruning(queued.id, why="old", trash=f"t{job_id}", at=at)
    await state.pruned(queued.id)
    return await only(state, job_id)


async def test_a_publication_goes_through_pruning(state, queue):
    """Step by step, each remembered with when, why and where."""
    queued = await published(state, queue)
    assert queued.pruned is None
    assert await state.half_pruned() == ()
    assert await state.pruning(queued.id, why="not among last 2", trash="t", at=NOW)
    (half,) = await state.half_pruned()
    assert (half.id, half.state, half.files) == (queued.id, TransferState.PRUNING, queued.files)
    assert half.pruned == Pruned(at=NOW, why="not among last 2", trash="t")
    await state.pruned(queued.id)
    assert await state.half_pruned() == ()
    known = await only(state)
    assert (known.state, known.pruned) == (TransferState.PRUNED, half.pruned)
    assert [one async for one in state.published()] == []


async def test_it_comes_back(state, queue):
    """And is as it was."""
    before = await published(state, queue)
    await state.pruning(before.id, why="old", trash="t", at=NOW)
    await state.pruned(before.id)
    assert await state.restoring(before.id)
    (half,) = await state.half_pruned()
    assert half.pruned == Pruned(at=NOW, why="old", trash="t", restoring=True)
    assert not await state.restoring(before.id)
    await state.restored(before.id)
    assert await only(state) == before
    assert [one.id async for one in state.in_trash()] == []


async def test_only_what_is_published_is_pruned(state, queue):
    """Not what was lost, is wanted again, or is pruned already; and steps come in their order."""
    queued = await published(state, queue)
    for step in (state.pruned, state.restored):
        with pytest.raises(StateError, match="not on its way"):
            await step(queued.id)
    assert not await state.restoring(queued.id)
    await queue.lost(queued.id)
    assert not await state.pruning(queued.id, why="old", trash="t", at=NOW)
    gone = await pruned(state, queue, 8) if (await queue.claim(NOW)) else None
    assert gone is not None
    assert not await state.pruning(gone.id, why="old", trash="u", at=NOW)
    with pytest.raises(StateError):
        await queue.lost(gone.id)


async def test_what_is_pinned_is_not_pruned(state, queue):
    """Also where the pin came after the plan was made."""
    queued = await published(state, queue)
    await state.pin(PinnedJob(project_id=1, project_path="group/app", job_id=7, at=NOW))
    assert not await state.pruning(queued.id, why="old", trash="t", at=NOW)
    assert await state.unpin(1, 7)
    assert await state.pruning(queued.id, why="old", trash="t", at=NOW)


async def test_pins_are_remembered(state, open_state):
    """One for each job, newest first, replaced by a later one, and gone when taken back."""
    first = PinnedJob(project_id=1, project_path="group/app", job_id=7, at=NOW, reason="shipped to a customer")
    second = PinnedJob(project_id=2, project_path="group/lib", job_id=7, at=NOW + HOUR)
    await state.pin(first)
    await state.pin(second)
    assert await state.pins() == (second, first)
    again = PinnedJob(project_id=1, project_path="group/new", job_id=7, at=NOW + DAY, reason="other")
    await state.pin(again)
    async with open_state() as other:
        assert await other.pins() == (again, second)
        assert await other.unpin(2, 7)
    assert await state.pins() == (again,)
    assert not await state.unpin(2, 7)
    assert (await state.summary()).pins == 1


@pytest.mark.parametrize(
    "found",
    [
        transfer(),
        transfer(names=("artifacts.zip", "job.log")),
        transfer(rules=("other",)),
        transfer(dest="elsewhere/7"),
    ],
    ids=["the same", "more items", "another rule", "another path of the same rule"],
)
@pytest.mark.parametrize("half", [False, True], ids=["pruned", "pruning"])
async def test_what_retention_took_is_not_wanted_again(state, queue, found, half):
    """Neither by discovery nor by an audit, whatever the rules ask for by then."""
    queued = await published(state, queue)
    await state.pruning(queued.id, why="old", trash="t", at=NOW)
    if not half:
        await state.pruned(queued.id)
    before = await only(state)
    assert await state.want([found], now=NOW) == ()
    assert await state.save_progress(progress(), found=[found], now=NOW) == ()
    assert await queue.revive() == 0
    assert await queue.claim(NOW + DAY) is None
    assert await queue.open_count() == 0
    assert await only(state) == before


async def test_another_rule_with_a_place_of_its_own_gets_its_copy(state, queue):
    """It lost nothing to retention."""
    await pruned(state, queue)
    (new,) = await state.want([transfer(rules=("other",), dest="other/7")], now=NOW)
    assert new.state is TransferState.WANTED


async def test_a_pruned_job_counts_as_mirrored(state, queue):
    """It was: it needs no keep, is not at risk, and is no failure."""
    keep = KeepDue(
        project_id=1,
        project_path="group/app",
        job_id=7,
        job_name="package",
        rule="releases",
        due_at=NOW,
        expire_at=NOW + HOUR,
    )
    await state.want([], keeps=[keep], now=NOW)
    assert (await state.summary()).keeps_due == 1
    await pruned(state, queue, deadline=NOW + HOUR)
    summary = await state.summary()
    assert summary.keeps_due == 0
    assert await state.due_keeps(NOW, 9) == ()
    assert summary.by_state[TransferState.PRUNED] == 1
    assert (summary.at_risk, summary.failures, summary.published_bytes) == ((), (), 0)
    assert (summary.in_trash, summary.trash_bytes) == (1, 5)


async def test_the_trash_in_order(state, queue):
    """Longest there first, over many pages, and without what was emptied or is on its way."""
    gone = [await pruned(state, queue, number, at=NOW + number % 7 * HOUR) for number in range(1, 12)]
    expected = sorted(gone, key=lambda one: (one.pruned.at if one.pruned else NOW, one.id))
    assert [one.id async for one in state.in_trash()] == [one.id for one in expected]
    await state.emptied("t3")
    await state.restoring(gone[4].id)
    await state.emptied("t5")
    left = [one.id for one in expected if one.id not in {gone[2].id, gone[4].id}]
    assert [one.id async for one in state.in_trash()] == left
    assert not await state.restoring(gone[2].id)
    emptied = (await only(state, 3)).pruned
    assert emptied == Pruned(at=NOW + 3 * HOUR, why="old", trash=None)
    await state.restored(gone[4].id)
    assert (await state.summary()).in_trash == 9


async def test_objects_that_are_needed(state, queue):
    """By what is published, lost, or staged; not by what retention took."""
    here, gone, lost = [await published(state, queue, number) for number in (1, 2, 3)]
    await state.pruning(gone.id, why="old", trash="t", at=NOW)
    await state.pruned(gone.id)
    await queue.lost(lost.id)
    await state.save_progress(progress(), found=[transfer(4)], now=NOW)
    while (claimed := await queue.claim(NOW)).transfer.job.id != 4:
        pass
    staged = staged_file("artifacts.zip", b"staged", "p")
    await queue.stage(claimed.id, [staged])
    names = {one.id: one.files[0].sha256 for one in (here, gone, lost)}
    asked = [*names.values(), staged.sha256, f"{names[here.id]}x", "f" * 64]
    assert await state.referenced(asked) == {names[here.id], names[lost.id], staged.sha256}
    assert await state.referenced([]) == frozenset()


async def test_the_last_look_is_remembered(state):
    """Only the last one."""
    assert (await state.summary()).retention is None
    for number in (1, 2):
        look = RetentionLook(
            at=NOW + number * HOUR,
            publications=10,
            orphans=number,
            orphan_bytes=2,
            removable=3,
            removable_bytes=4,
        )
        await state.note_look(look)
    assert (await state.summary()).retention == look


async def test_orders_are_answered_once(state, open_state):
    """From one process to the other and back, in their order."""
    assert await state.next_order(NOW) is None
    first, second = PruneOrder(orphans=True), PruneOrder(undo=True, only=("a/b", "#7"))
    async with open_state() as other:
        numbers = [await other.order_prune(order, NOW) for order in (first, second)]
        assert await state.next_order(NOW) == (numbers[0], first)
        assert await other.order_answer(numbers[0]) is None
        report = PruneReport(pruned=3, pruned_bytes=4, problems=("x",))
        await state.answer_order(numbers[0], report)
        assert await other.order_answer(numbers[0]) == report
        assert not await other.withdraw_order(numbers[0])
        assert await state.next_order(NOW) == (numbers[1], second)
        assert await other.withdraw_order(numbers[1])
    assert await state.next_order(NOW) is None


async def test_an_old_order_is_not_carried_out(state):
    """Whoever gave it does not wait any more."""
    number = await state.order_prune(PruneOrder(), NOW)
    assert await state.next_order(NOW + HOUR) == (number, PruneOrder())
    assert await state.next_order(NOW + HOUR + timedelta(seconds=1)) is None

"""What every state and queue must do with what is to run after a publication."""

from datetime import timedelta
from typing import Any

import pytest

from artifact_sync.core.after import HookKind
from artifact_sync.core.model import KeepDue
from artifact_sync.ports import HookState, Published, Queue, TransferState
from tests.contract.conftest import STATES
from tests.storage import HOUR, NOW, progress, staged_file, transfer

COMMAND, WEBHOOK, DELETE = HookKind.COMMAND, HookKind.WEBHOOK, HookKind.DELETE_REMOTE
AFTER = {"releases": (COMMAND, WEBHOOK), "nightly": (WEBHOOK,), "space": (DELETE,)}
WANTED = [(rule, kind) for rule, kinds in AFTER.items() for kind in kinds]
EVERY = 50


@pytest.fixture
def queue(state_kind, state) -> Queue:
    """The queue under test, which knows what rules want after a publication."""
    return STATES[state_kind][1](state, after=AFTER)


def published(dest="d", manifest="a") -> Published:
    """What the store says."""
    return Published(dest=dest, size=1, manifest_sha256=manifest * 64)


async def add(state, *found) -> list[int]:
    """Queue these; their ids."""
    return [queued.id for queued in await state.save_progress(progress(), found=found, now=NOW)]


async def publish(queue, *, at=NOW, content=b"x", manifest="a", name="artifacts.zip") -> int:
    """Bring the next one that is wanted to its end; its id."""
    queued = await queue.claim(at)
    assert queued is not None
    await queue.stage(queued.id, [staged_file(name, content, "p")])
    await queue.publish(queued.id, published(manifest=manifest), at)
    return int(queued.id)


async def due(state, *wanted) -> list[tuple[str, HookKind]]:
    """(rule, kind) of what comes next."""
    return [(hook.rule, hook.kind) for hook in await state.next_hooks(wanted or WANTED, limit=EVERY)]


async def test_what_is_published_makes_its_hooks_due(state, queue):
    """Those of every rule of the transfer, with which publication they are for; none before it is published."""
    await add(state, transfer(rules=("releases", "other", "nightly")))
    queued = await queue.claim(NOW)
    await queue.stage(queued.id, [staged_file("artifacts.zip", b"x", "p")])
    assert await due(state) == []
    await queue.publish(queued.id, published(), NOW)
    hooks = await state.hooks_of(1, 7)
    assert [(hook.rule, hook.kind) for hook in hooks] == [
        ("releases", COMMAND),
        ("releases", WEBHOOK),
        ("nightly", WEBHOOK),
    ]
    for hook in hooks:
        assert (hook.state, hook.attempts, hook.due_at, hook.published_at) == (HookState.WAITING, 0, NOW, NOW)
        assert hook.manifest_sha256 == "a" * 64
        assert hook.queued.id == queued.id
        assert hook.queued.state is TransferState.PUBLISHED
        assert await state.hook(hook.id) == hook
    assert await state.hook(hooks[-1].id + 1) is None


async def test_what_is_due_survives_the_end_of_the_process(open_state, state_kind):
    """It is in the state, and nowhere else."""
    async with open_state() as state:
        queue = STATES[state_kind][1](state, after=AFTER)
        await add(state, transfer())
        await publish(queue)
    async with open_state() as state:
        assert await due(state) == [("releases", COMMAND), ("releases", WEBHOOK)]


async def test_a_step_that_fails_makes_nothing_due(state, queue):
    """One transaction: what is not published has no hooks."""
    await add(state, transfer())
    queued = await queue.claim(NOW)
    with pytest.raises(Exception, match="cannot be published"):
        await queue.publish(queued.id, published(), NOW)
    assert await state.hooks_of(1, 7) == ()


async def test_each_rule_and_kind_in_the_order_of_publications(state, queue):
    """The next one comes when the one before has ended, whether its time has come or not."""
    await add(state, transfer(7), transfer(8))
    for _ in range(2):
        await publish(queue)
    first, second = await state.next_hooks(WANTED, limit=EVERY)
    assert (await state.hook(first.id)).queued.transfer.job.id == (await state.hook(second.id)).queued.transfer.job.id
    await state.hook_again(first.id, detail="503", due_at=NOW + HOUR, counted=True)
    waiting, _ = await state.next_hooks(WANTED, limit=EVERY)
    assert (waiting.id, waiting.due_at) == (first.id, NOW + HOUR)
    await state.hook_ended(first.id, HookState.FAILED, detail="503", at=NOW + HOUR)
    later = [hook for hook in await state.next_hooks(WANTED, limit=EVERY) if hook.kind is COMMAND]
    assert [hook.id > first.id for hook in later] == [True]


async def test_deletions_do_not_wait_for_each_other(state, queue):
    """They come by time, a few at once."""
    await add(state, *(transfer(job, rules=("space",)) for job in (1, 2, 3)))
    for _ in range(3):
        await publish(queue)
    first, second, third = await state.next_hooks(WANTED, limit=EVERY)
    await state.hook_again(first.id, detail="waits", due_at=NOW + HOUR, counted=False)
    assert [hook.id for hook in await state.next_hooks(WANTED, limit=2)] == [second.id, third.id]
    assert len(await state.next_hooks(WANTED, limit=EVERY)) == 3
    assert await due(state, ("other", DELETE)) == []


async def test_attempts_count_only_failures(state, queue):
    """Waiting is none; the last one counts as well."""
    await add(state, transfer())
    await publish(queue)
    hook, *_ = await state.hooks_of(1, 7)
    await state.hook_again(hook.id, detail="waits", due_at=NOW + HOUR, counted=False)
    await state.hook_again(hook.id, detail="no", hint="cure", due_at=NOW + HOUR, counted=True)
    again = await state.hook(hook.id)
    assert (again.attempts, again.detail, again.hint, again.state) == (1, "no", "cure", HookState.WAITING)
    await state.hook_ended(hook.id, HookState.FAILED, detail="no!", hint="cure", at=NOW + HOUR)
    ended = await state.hook(hook.id)
    assert (ended.attempts, ended.state, ended.ended_at) == (2, HookState.FAILED, NOW + HOUR)
    # What has ended has ended.
    await state.hook_ended(hook.id, HookState.DONE, detail="late", at=NOW + HOUR)
    assert (await state.hook(hook.id)).state is HookState.FAILED


async def test_failed_ones_are_tried_again_on_request(state, queue):
    """All, or those of one job; with all of their attempts, and before later publications."""
    await add(state, transfer(7), transfer(8))
    ids = [await publish(queue) for _ in range(2)]
    assert len(set(ids)) == 2
    hooks = [hook for job in (7, 8) for hook in await state.hooks_of(1, job)]
    for hook in hooks:
        await state.hook_ended(hook.id, HookState.FAILED, detail="no", at=NOW)
    assert await due(state) == []
    assert await state.retry_hooks(now=NOW + HOUR, job=(1, 9)) == 0
    assert await state.retry_hooks(now=NOW + HOUR, job=(1, 8)) == 2
    assert {hook.state for hook in await state.hooks_of(1, 7)} == {HookState.FAILED}
    assert await state.retry_hooks(now=NOW + HOUR) == 2
    again = await state.hooks_of(1, 7)
    assert [(hook.state, hook.attempts, hook.due_at, hook.ended_at) for hook in again] == [
        (HookState.WAITING, 0, NOW + HOUR, None)
    ] * 2


async def test_what_no_rule_wants_any_more_is_dropped(state, queue):
    """And told how much; what has ended, and what is wanted, stays."""
    await add(state, transfer(7, rules=("releases", "nightly")), transfer(8))
    for _ in range(2):
        await publish(queue)
    webhook = next(hook for hook in await state.hooks_of(1, 7) if hook.kind is WEBHOOK)
    await state.hook_ended(webhook.id, HookState.DONE, detail="204", at=NOW)
    dropped = await state.drop_hooks([("releases", COMMAND)], detail="not wanted", at=NOW + HOUR)
    assert sorted((each.rule, each.kind, each.count) for each in dropped) == [
        ("nightly", WEBHOOK, 1),
        ("releases", WEBHOOK, 1),
    ]
    assert await due(state) == [("releases", COMMAND)]
    assert (await state.hook(webhook.id)).state is HookState.DONE
    states = [hook.state for job in (7, 8) for hook in await state.hooks_of(1, job)]
    assert sorted(states) == ["done", "skipped", "skipped", "waiting", "waiting"]
    assert await state.drop_hooks([("releases", COMMAND)], detail="not wanted", at=NOW) == ()


async def test_what_was_lost_and_is_there_again_was_published_before(state, queue):
    """Its hooks do not run again; those of what is there anew do."""
    await add(state, transfer())
    known = await publish(queue)
    await queue.lost(known)
    await publish(queue, manifest="b")
    assert [hook.manifest_sha256[0] for hook in await state.hooks_of(1, 7)] == ["a", "a"]
    await queue.lost(known)
    await publish(queue, content=b"other", manifest="c")
    assert [hook.manifest_sha256[0] for hook in await state.hooks_of(1, 7)] == ["a", "a", "c", "c"]


async def test_what_gained_items_is_published_again(state, queue):
    """While in flight: once, with everything. Later: it is a publication of its own."""
    await add(state, transfer())
    queued = await queue.claim(NOW)
    await add(state, transfer(names=("artifacts.zip", "job.log")))
    await queue.stage(queued.id, [staged_file("artifacts.zip", b"x", "p")])
    await queue.publish(queued.id, published(), NOW)
    assert await state.hooks_of(1, 7) == ()
    await publish(queue, name="job.log", manifest="b")
    assert {hook.manifest_sha256[0] for hook in await state.hooks_of(1, 7)} == {"b"}
    await add(state, transfer(names=("artifacts.zip", "job.log", "files/a")))
    await publish(queue, name="files/a", manifest="c")
    assert [hook.manifest_sha256[0] for hook in await state.hooks_of(1, 7)] == ["b", "b", "c", "c"]


async def test_a_rule_that_joined_while_in_flight_has_its_hooks(state, queue):
    """It wants nothing more of the job, but it wants to know."""
    await add(state, transfer(rules=("other",)))
    queued = await queue.claim(NOW)
    await add(state, transfer(rules=("nightly",)))
    await queue.stage(queued.id, [staged_file("artifacts.zip", b"x", "p")])
    await queue.publish(queued.id, published(), NOW)
    assert await due(state) == [("nightly", WEBHOOK)]


async def test_a_publication_hastens_the_deletions_of_its_job(state, queue):
    """They wait for nothing else of the job to be wanted; those of other jobs go on waiting, and so does what failed."""
    await add(state, *(transfer(job, rules=("space",)) for job in (7, 8)))
    for _ in range(2):
        await publish(queue)
    for job in (7, 8):
        (hook,) = await state.hooks_of(1, job)
        await state.hook_again(hook.id, detail="waits", due_at=NOW + HOUR, counted=False)
    await add(state, transfer(7, dest="elsewhere/7", rules=("releases",)))
    await publish(queue, at=NOW + timedelta(minutes=1))
    (mine, *_), (other,) = await state.hooks_of(1, 7), await state.hooks_of(1, 8)
    assert (mine.due_at, other.due_at) == (NOW + timedelta(minutes=1), NOW + HOUR)
    await state.hook_again(other.id, detail="502", due_at=NOW + HOUR, counted=True)
    await add(state, transfer(8, dest="elsewhere/8", rules=("other",)))
    await publish(queue, at=NOW + timedelta(minutes=2))
    assert (await state.hook(other.id)).due_at == NOW + HOUR


async def test_the_rules_that_always_keep_a_job(state):
    """Also where the keep was called, and no others."""
    fields: dict[str, Any] = {
        "project_id": 1,
        "project_path": "group/app",
        "job_name": "package",
        "due_at": NOW,
        "expire_at": NOW,
    }
    keeps = [
        KeepDue(job_id=7, rule="always", always=True, **fields),
        KeepDue(job_id=7, rule="sometimes", **fields),
        KeepDue(job_id=8, rule="another", always=True, **fields),
    ]
    await state.want([], keeps=keeps, now=NOW)
    assert await state.always_kept_by(1, 7) == {"always"}
    assert await state.always_kept_by(2, 7) == frozenset()


async def test_figures_and_examples(state, queue):
    """How many stand where, and those that make trouble."""
    await add(state, transfer(rules=("releases", "nightly")))
    await publish(queue)
    failed, again, _ = await state.hooks_of(1, 7)
    await state.hook_ended(failed.id, HookState.FAILED, detail="no", at=NOW)
    await state.hook_again(again.id, detail="503", due_at=NOW + HOUR, counted=True)
    figures = await state.hook_figures()
    assert figures.by_state == {HookState.FAILED: 1, HookState.WAITING: 2}
    assert [hook.id for hook in figures.failures] == [failed.id]
    assert [hook.id for hook in figures.retrying] == [again.id]

"""`after.delete_remote`: GitLab's artifacts go when the copy was read from the disk again, and never before."""

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from artifact_sync.core.after import After, HookKind
from artifact_sync.core.events import HookEnded
from artifact_sync.core.model import KeepResult
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy
from artifact_sync.errors import Outcome
from artifact_sync.ports import HookState, KeepEntry, QueuedHook, TransferState
from artifact_sync.simulator import TOKEN, JobSpec, RequestSeen, SimToken, small
from artifact_sync.simulator.faults import Answer, Fault
from artifact_sync.simulator.tokens import REPORTER
from artifact_sync.state import hooks
from tests.integration.engine.engine_harness import DAY, QUICK, Rig, asked, build, digests, mirrored, rig, rule

POLICY = replace(QUICK, hook_base=0.02, hook_cap=0.05, hook_retries=2, hook_timeout=20.0)
DELETE = After(delete_remote=True)
ARCHIVE = "/jobs/[0-9]+/artifacts$"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEEP = "glpat-may-write-of-no-worth"


@pytest.fixture
def world(world):
    """With one token that reads, and one that may delete."""
    world.add_token(SimToken(value=TOKEN, scopes=("read_api",), role=REPORTER))
    world.add_token(SimToken(value=KEEP, id=2))
    return world


def daemon_of(world, path, *rules, **options: Any) -> AbstractAsyncContextManager[Rig]:
    """With both tokens."""
    wanted: dict[str, Any] = {"policy": POLICY, "keep_token": KEEP}
    return rig(world, path, *rules, **wanted | options)


def deletions(world) -> list[RequestSeen]:
    """What was asked to be deleted, in order."""
    return asked(world, ARCHIVE, "DELETE")


async def only(daemon, job) -> QueuedHook:
    """The one hook of a job."""
    (hook,) = await daemon.state.hooks_of(job.project.id, job.id)
    assert isinstance(hook, QueuedHook)
    return hook


def published(path, name="artifacts.zip") -> Path:
    """The one file of that name in the tree."""
    (found,) = (path / "store" / "tree").rglob(name)
    assert isinstance(found, Path)
    return found


async def ledger(daemon) -> list[KeepEntry]:
    """Its entries, newest first."""
    return [entry async for entry in daemon.state.keeps()]


async def test_the_artifacts_are_deleted_once_they_are_mirrored(world, app, tmp_path):
    """With the token that may, after the publication; the ledger has it, and they are asked for no more."""
    jobs = build(world, app, "a", "b", expire_in=30 * DAY).jobs
    expected = digests(jobs)
    async with daemon_of(world, tmp_path, rule(after=DELETE)) as daemon:
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed, report.hooks_waiting) == (2, 0, 0)
        assert all(job.removed for job in jobs)
        assert mirrored(tmp_path) == expected
        assert len(deletions(world)) == 2
        assert {seen.headers.get("PRIVATE-TOKEN") for seen in deletions(world)} == {KEEP}
        entries = await ledger(daemon)
        assert {entry.job_id for entry in entries} == {job.id for job in jobs}
        assert {(entry.result, entry.detail) for entry in entries} == {
            (KeepResult.DELETED, "its artifacts were deleted in GitLab")
        }
        assert [event.result for event in daemon.of(HookEnded)] == ["done", "done"]


async def test_what_is_gone_there_is_no_loss_here(world, app, tmp_path):
    """Passes, a restart and an audit after it change nothing, and delete nothing more."""
    (job,) = build(world, app, "build", expire_in=30 * DAY).jobs
    expected = digests([job])
    wanted = rule(after=DELETE, fetch=Fetch(archive=True, trace=True))
    async with daemon_of(world, tmp_path, wanted) as daemon:
        await daemon.sync()
    for _ in range(2):
        async with daemon_of(world, tmp_path, wanted) as daemon:
            report = await daemon.sync()
            assert report.complete
            assert (report.published, report.failed, report.hooks_done) == (0, 0, 0)
            await daemon.engine._following._audit(await daemon.remote.project(app.id))
            queued = await daemon.transfer(job)
            assert queued.state is TransferState.PUBLISHED
            assert queued.outcome is Outcome.PUBLISHED
            assert await daemon.state.next_keep() is None
    assert mirrored(tmp_path) == expected
    assert len(deletions(world)) == 1


def damage(file) -> None:
    """One bit of it is another one, and nothing else tells."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_damaged_copy_deletes_nothing(world, app, tmp_path):
    """One bit of the publication changed after it was published: no DELETE, and it is said."""
    (job,) = build(world, app, "build").jobs
    async with daemon_of(world, tmp_path, rule(after=DELETE), keep_token=None) as daemon:
        # With a token that may not delete.
        await daemon.sync()
        await daemon.state.retry_hooks(now=daemon.clock.now())
    asked_before = len(deletions(world))
    async with daemon_of(world, tmp_path, rule(after=DELETE)) as daemon:
        damage(published(tmp_path))
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed) == (0, 1)
        hook = await only(daemon, job)
        assert (hook.state, hook.attempts) == (HookState.FAILED, 1)
        assert "is not what was mirrored" in hook.detail
        assert "Nothing was deleted" in hook.hint
        assert not await ledger(daemon)
    assert len(deletions(world)) == asked_before
    assert not job.removed


@pytest.mark.parametrize("name", ["artifacts.zip", "SHA256SUMS", ".artifact-sync.json", "job.log"])
async def test_a_copy_that_lacks_something_deletes_nothing(world, app, tmp_path, name):
    """Each file of the publication but its checksums, which are made from the manifest, must be there."""
    (job,) = build(world, app, "build").jobs
    wanted = rule(after=DELETE, fetch=Fetch(archive=True, trace=True))
    world.faults.add(Fault(action=Answer(status=503), path=ARCHIVE, method="DELETE", times=1))
    async with daemon_of(world, tmp_path, wanted, policy=replace(POLICY, hook_retries=0)) as daemon:
        assert (await daemon.sync()).hooks_failed == 1
        assert not job.removed
        published(tmp_path, name).unlink()
        await daemon.state.retry_hooks(now=daemon.clock.now())
        report = await daemon.sync()
        gone = name == "SHA256SUMS"
        assert (report.hooks_done, report.hooks_failed, job.removed) == (gone, not gone, gone)
    assert len(deletions(world)) == 1 + gone


async def test_nothing_is_deleted_while_another_rule_wants_something(world, app, tmp_path):
    """The other one's transfer is open: it waits, counts no attempt, and goes on when that is published."""
    (job,) = build(world, app, "build").jobs
    stuck = world.faults.add(Fault(action=Answer(status=503), path=f"/jobs/{job.id}/trace$", times=None))
    rules = (
        rule(name="a", after=DELETE),
        rule(name="b", path="logs/{job_id}", fetch=Fetch(archive=False, trace=True)),
    )
    async with daemon_of(world, tmp_path, *rules) as daemon:
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_waiting) == (0, 1)
        hook = await only(daemon, job)
        assert (hook.state, hook.attempts) == (HookState.WAITING, 0)
        assert hook.detail.startswith(f"waits: logs/{job.id} (rules b) is ")
        assert not deletions(world)
        stuck.times = 0
        report = await daemon.sync()
        assert (report.published, report.hooks_done, report.hooks_waiting) == (1, 1, 0)
        assert job.removed


async def test_nothing_is_deleted_that_a_new_rule_is_about_to_fetch(world, app, tmp_path):
    """The rule takes the job, and nobody has found it for that rule yet."""
    (job,) = build(world, app, "build").jobs
    mine = rule(name="a", after=DELETE)
    async with daemon_of(world, tmp_path, mine, keep_token=None, policy=replace(POLICY, hook_retries=0)) as daemon:
        # This token may not delete.
        assert (await daemon.sync()).hooks_failed == 1
        assert not job.removed
        await daemon.state.retry_hooks(now=daemon.clock.now())
    both = (mine, rule(name="b", path="b/{job_id}"))
    async with daemon_of(world, tmp_path, *both) as daemon:
        due = await only(daemon, job)
        await daemon.engine._hooks._attempt(due)
        assert (await only(daemon, job)).detail == "waits: rule b takes the job as well, and has not fetched it yet"
        assert [seen for seen in deletions(world) if seen.headers.get("PRIVATE-TOKEN") == KEEP] == []


async def test_what_another_rule_always_keeps_is_not_deleted(world, app, tmp_path):
    """It is skipped, with the reason."""
    (job,) = build(world, app, "build", expire_in=30 * DAY).jobs
    always = Keep(policy=KeepPolicy.ALWAYS)
    rules = (rule(name="a", after=DELETE), rule(name="b", keep=always))
    async with daemon_of(world, tmp_path, *rules) as daemon:
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed, report.hooks_waiting) == (0, 0, 0)
        hook = await only(daemon, job)
        assert (hook.state, hook.detail) == (HookState.SKIPPED, "rule b always keeps it in GitLab")
    assert not deletions(world)
    assert not job.removed


async def test_a_rule_that_keeps_and_fetches_nothing_of_the_job_counts(world, app, tmp_path):
    """Its keep is in the state, though it has no transfer."""
    (job,) = build(world, app, "build", expire_in=30 * DAY).jobs
    keeps = rule(name="b", keep=Keep(policy=KeepPolicy.ALWAYS), fetch=Fetch(archive=False, reports=("junit",)))
    async with daemon_of(world, tmp_path, rule(name="a", after=DELETE), keeps) as daemon:
        await daemon.sync()
        assert (await only(daemon, job)).detail == "rule b always keeps it in GitLab"
    assert not deletions(world)


@pytest.mark.parametrize(
    ("fetch", "expire_in"),
    [(Fetch(archive=False, trace=True), None), (Fetch(archive=False, reports=("junit",)), 30 * DAY)],
    ids=["a transfer", "a keep"],
)
async def test_what_a_rule_took_and_always_keeps_stays_though_it_would_not_take_it_now(
    world, app, tmp_path, fetch, expire_in
):
    """The job has grown too old for the rule; what it fetched, or had kept, tells."""
    (job,) = build(world, app, "build", expire_in=expire_in).jobs
    always = Keep(policy=KeepPolicy.ALWAYS)
    mine = rule(name="a", after=DELETE)
    other = rule(name="b", keep=always, fetch=fetch, path="b/{job_id}")
    async with daemon_of(world, tmp_path, replace(mine, after=After()), other) as daemon:
        await daemon.sync()
        before = await daemon.state.find(app.id, job.id)
    other = rule(name="b", keep=always, fetch=fetch, path="b/{job_id}", max_age=timedelta(microseconds=1))
    async with daemon_of(world, tmp_path, mine, other) as daemon:
        mirrored_before = next(queued for queued in before if queued.transfer.rules == ("a",))
        assert mirrored_before.state is TransferState.PUBLISHED
        await daemon.state.write(
            lambda database: hooks.add(
                database, mirrored_before.id, [("a", (HookKind.DELETE_REMOTE,))], manifest_sha256="a", at=NOW
            )
        )
        await daemon.sync()
        assert (await only(daemon, job)).detail == "rule b always keeps it in GitLab"
    assert not deletions(world)


async def test_reports_that_are_not_mirrored_are_not_deleted(world, app, tmp_path):
    """GitLab deletes everything but the log; where everything is here, it may."""
    world.report_downloads = True
    made = world.add_pipeline(app, "main", [JobSpec("build", archive=small("x"), reports=("junit",))])
    (job,) = made.jobs
    world.finish(job)
    async with daemon_of(world, tmp_path / "1", rule(after=DELETE)) as daemon:
        await daemon.sync()
        hook = await only(daemon, job)
        assert hook.state is HookState.SKIPPED
        assert "not mirrored as well: junit" in hook.detail
    assert not job.removed
    async with daemon_of(world, tmp_path / "2", rule(after=DELETE, fetch=Fetch(reports=("junit",)))) as daemon:
        assert (await daemon.sync()).hooks_done == 1
    assert job.removed


async def test_single_files_are_no_copy_of_the_archive(world, app, tmp_path):
    """Not even where the configuration was not asked."""
    (job,) = build(world, app, "build").jobs
    wanted = rule(after=DELETE, fetch=Fetch(archive=False, files=("**",)))
    async with daemon_of(world, tmp_path, wanted) as daemon:
        assert (await daemon.sync()).hooks_failed == 1
        assert "not its archive" in (await only(daemon, job)).detail
    assert not deletions(world)


async def test_a_deletion_that_was_done_and_not_recorded_is_recorded(world, app, tmp_path):
    """GitLab deleted, and the answer was lost: the next attempt finds nothing there, and the ledger says so."""
    (job,) = build(world, app, "build").jobs
    world.faults.add(Fault(action=Answer(status=502), path=f"/jobs/{job.id}$", nth=2, times=1))
    async with daemon_of(world, tmp_path, rule(after=DELETE)) as daemon:
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed) == (1, 0)
        (entry,) = await ledger(daemon)
        assert (entry.result, entry.detail) == (KeepResult.DELETED, "GitLab had no artifacts of it any more")
    assert len(deletions(world)) == 1
    assert job.removed


async def test_a_token_that_may_not_delete_is_told_what_to_do(world, app, tmp_path):
    """The artifacts stay, and so does the copy."""
    world.add_token(SimToken(value=KEEP, id=2, role=REPORTER))
    (job,) = build(world, app, "build").jobs
    async with daemon_of(world, tmp_path, rule(after=DELETE)) as daemon:
        report = await daemon.sync()
        assert (report.hooks_failed, report.complete) == (1, True)
        hook = await only(daemon, job)
        assert (hook.state, hook.attempts) == (HookState.FAILED, 3)
        assert "403" in hook.detail
        assert hook.hint
    assert not job.removed


async def test_the_log_stays_and_a_job_without_artifacts_is_nothing_to_delete(world, app, tmp_path):
    """Somebody else deleted them first."""
    (job,) = build(world, app, "build").jobs
    async with daemon_of(world, tmp_path, rule(after=DELETE), policy=replace(POLICY, hook_retries=0)) as daemon:
        world.faults.add(Fault(action=Answer(status=503), path=ARCHIVE, method="DELETE", times=1))
        await daemon.sync()
        world.delete_artifacts(job)
        await daemon.state.retry_hooks(now=daemon.clock.now())
        assert (await daemon.sync()).hooks_done == 1
        assert (await only(daemon, job)).detail == "GitLab had no artifacts of it any more"
    assert len(deletions(world)) == 1

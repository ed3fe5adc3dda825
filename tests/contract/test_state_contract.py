"""What every state must do, and survive."""

from dataclasses import replace
from datetime import timedelta

from msgspec.structs import replace as with_changes

from artifact_sync.core.model import KeepDue, KeepResult
from artifact_sync.errors import Outcome
from artifact_sync.ports import KeepEntry, PartRecord, Progress, Published, TransferState, WatchedPipeline
from tests.storage import HOUR, NOW, progress, staged_file, transfer


def due(job_id=7, *, rule="releases", at=NOW, expire=NOW + HOUR, always=False) -> KeepDue:
    """A keep of one job."""
    return KeepDue(
        project_id=1,
        project_path="group/app",
        job_id=job_id,
        job_name="package",
        rule=rule,
        due_at=at,
        expire_at=expire,
        always=always,
    )


def entry(job_id=7, *, at=NOW, result=KeepResult.KEPT) -> KeepEntry:
    """A line of the ledger."""
    return KeepEntry(
        at=at,
        project_id=1,
        project_path="group/app",
        job_id=job_id,
        job_name="package",
        rule="releases",
        reason="not mirrored an hour before its expiry",
        expire_at=NOW + HOUR,
        result=result,
        detail="",
    )


async def publish(queue, queued_id) -> None:
    """Take one transfer, which is the next one, to its end."""
    claimed = await queue.claim(NOW)
    assert claimed.id == queued_id
    file = staged_file("artifacts.zip", b"x", "p")
    await queue.stage(claimed.id, [file])
    await queue.publish(claimed.id, Published(dest=claimed.transfer.dest, size=1, manifest_sha256="0" * 64), NOW)


async def test_progress_is_kept_exactly(state):
    """Every field comes back, to the microsecond, and the newest write wins."""
    assert await state.progress(1) is None
    full = Progress(
        project_id=1,
        path="group/app",
        newest_job_id=99,
        backfill_next="https://gitlab.example.com/api/v4/projects/1/jobs?cursor=abc",
        backfill_done=True,
        horizon=NOW - HOUR,
        polled_at=NOW,
    )
    await state.save_progress(full, now=NOW)
    assert await state.progress(1) == full
    moved = replace(full, path="group/new", newest_job_id=100, backfill_next=None, horizon=None)
    await state.save_progress(moved, now=NOW)
    assert await state.progress(1) == moved
    assert await state.progress(2) is None


async def test_a_found_transfer_is_new_once(state):
    """The page seen again brings nothing, and the transfer comes back exactly as found."""
    found = transfer(deadline=NOW + HOUR, names=("artifacts.zip", "files/a/b"))
    (new,) = await state.save_progress(progress(newest=7), found=[found], now=NOW)
    assert new.transfer == found
    assert new.state is TransferState.WANTED
    assert await state.save_progress(progress(newest=7), found=[found], now=NOW) == ()
    assert await state.find(1, 7) == (new,)
    assert await state.find(1, 8) == ()


async def test_a_page_with_the_same_transfer_twice_brings_it_once(state):
    """Two rules' transfers to one destination may also come unmerged."""
    found = [transfer(rules=("a",)), transfer(rules=("b",), names=("job.log",))]
    (new,) = await state.save_progress(progress(), found=found, now=NOW)
    (known,) = await state.find(1, 7)
    assert known.id == new.id
    assert known.transfer.rules == ("a", "b")
    assert [item.name for item in known.transfer.items] == ["artifacts.zip", "job.log"]


async def test_a_published_transfer_that_gains_items_is_wanted_again(state, queue):
    """It remembers what is published already, and is not reported as new."""
    (new,) = await state.save_progress(progress(), found=[transfer()], now=NOW)
    await publish(queue, new.id)
    grown = transfer(names=("artifacts.zip", "job.log"), rules=("logs",))
    assert await state.save_progress(progress(), found=[grown], now=NOW) == ()
    (known,) = await state.find(1, 7)
    assert known.state is TransferState.WANTED
    assert known.transfer.rules == ("releases", "logs")
    assert [file.name for file in known.files] == ["artifacts.zip"]
    again = await queue.claim(NOW)
    await queue.stage(again.id, [staged_file("job.log", b"y", "q")])
    await queue.publish(again.id, Published(dest=known.transfer.dest, size=2, manifest_sha256="0" * 64), NOW)
    (done,) = await state.find(1, 7)
    assert [file.name for file in done.files] == ["artifacts.zip", "job.log"]


async def test_a_published_transfer_that_gains_only_a_rule_stays_published(state, queue):
    """Nothing has to be brought for a name."""
    (new,) = await state.save_progress(progress(), found=[transfer()], now=NOW)
    await publish(queue, new.id)
    await state.save_progress(progress(), found=[transfer(rules=("other",))], now=NOW)
    (known,) = await state.find(1, 7)
    assert known.state is TransferState.PUBLISHED
    assert known.transfer.rules == ("releases", "other")


async def test_a_failed_transfer_that_gains_items_is_tried_again(state, queue):
    """Its attempts start from nothing."""
    (new,) = await state.save_progress(progress(), found=[transfer()], now=NOW)
    await queue.claim(NOW)
    await queue.fail(new.id, Outcome.GONE, "404", retry_at=None)
    await state.save_progress(progress(), found=[transfer(names=("job.log",))], now=NOW)
    (known,) = await state.find(1, 7)
    assert (known.state, known.attempts) == (TransferState.WANTED, 0)


async def test_what_no_rule_asks_for_any_more_is_dropped(state, queue):
    """A rule that named a missing file was corrected: the right file is tried, and what is published stays."""
    (new,) = await state.save_progress(progress(), found=[transfer(names=("log", "files/wrong"))], now=NOW)
    await queue.claim(NOW)
    await queue.fail(new.id, Outcome.GONE, "no such file", retry_at=None)
    corrected = transfer(names=("log", "files/right"), rules=("corrected",))
    await state.save_progress(progress(), found=[corrected], now=NOW)
    (known,) = await state.find(1, 7)
    assert (known.state, known.attempts) == (TransferState.WANTED, 0)
    assert [item.name for item in known.transfer.items] == ["log", "files/right"]
    assert known.transfer.rules == ("corrected",)
    await queue.claim(NOW)
    await queue.stage(new.id, [staged_file("log", b"x", "p"), staged_file("files/right", b"y", "q")])
    await queue.publish(new.id, Published(dest=known.transfer.dest, size=2, manifest_sha256="0" * 64), NOW)
    await state.save_progress(progress(), found=[transfer(names=("log",))], now=NOW)
    (known,) = await state.find(1, 7)
    assert known.state is TransferState.PUBLISHED
    assert [item.name for item in known.transfer.items] == ["log", "files/right"]


async def test_it_remembers_whose_it_is(state):
    """A new state belongs to nobody; what is recorded is replaced by kind."""
    assert dict(await state.belongs_to()) == {}
    await state.belong_to({"gitlab": "https://a", "store": "1"})
    await state.belong_to({"gitlab": "https://b"})
    assert dict(await state.belongs_to()) == {"gitlab": "https://b", "store": "1"}


async def test_items_gained_in_flight_are_brought_by_another_attempt(state, queue):
    """The worker knows nothing of them, so its publication is not the end."""
    await state.save_progress(progress(), found=[transfer()], now=NOW)
    claimed = await queue.claim(NOW)
    await state.save_progress(progress(), found=[transfer(names=("job.log",))], now=NOW)
    assert await queue.claim(NOW) is None
    await queue.stage(claimed.id, [staged_file("artifacts.zip", b"x", "p")])
    await queue.publish(claimed.id, Published(dest=claimed.transfer.dest, size=1, manifest_sha256="0" * 64), NOW)
    again = await queue.claim(NOW)
    assert again.id == claimed.id
    assert [item.name for item in again.transfer.items] == ["artifacts.zip", "job.log"]


async def test_destinations_that_differ_only_in_case_are_told_apart(state):
    """README and readme of two jobs are one file on some disks; the page seen again is still known."""
    upper, lower = transfer(1, dest="a/README"), transfer(2, dest="a/readme")
    first, second = await state.save_progress(progress(), found=[upper, lower], now=NOW)
    assert (first.transfer.dest, second.transfer.dest) == ("a/README", "a/readme%~2")
    assert await state.save_progress(progress(), found=[lower, upper], now=NOW) == ()
    assert (await state.find(1, 2))[0].transfer == with_changes(lower, dest="a/readme%~2")


async def test_two_jobs_of_one_destination_never_meet(state):
    """Also exactly equal ones, and those of two projects with the same job id."""
    found = [transfer(1, dest="a"), transfer(2, dest="a"), transfer(2, dest="a", project_id=2)]
    new = await state.save_progress(progress(), found=found, now=NOW)
    assert len({queued.transfer.dest.casefold() for queued in new}) == 3


async def test_watched_pipelines_come_due(state):
    """Each is due at its time, in its project, until it is unwatched."""
    watch = [
        WatchedPipeline(project_id=1, pipeline_id=n, look_at=NOW + n * HOUR, looks=n, seen=f"s{n}") for n in (1, 2)
    ]
    await state.save_progress(progress(), watch=watch, now=NOW)
    assert await state.due_pipelines(1, NOW, 9) == ()
    assert await state.next_look(1) == NOW + HOUR
    assert await state.next_look(2) is None
    assert await state.due_pipelines(1, NOW + HOUR, 9) == (watch[0],)
    assert await state.due_pipelines(2, NOW + 9 * HOUR, 9) == ()
    later = replace(watch[0], look_at=NOW + 3 * HOUR, looks=0, seen="t")
    await state.save_progress(progress(), watch=[later], unwatch=[2], now=NOW)
    assert await state.due_pipelines(1, NOW + 9 * HOUR, 9) == (later,)
    assert (await state.summary()).watched_pipelines == 1


async def test_pipelines_are_watched_whatever_progress_is_made(state):
    """Also before there is any; those that wait longest come first, of these the newest, and no more than asked for."""
    watch = [WatchedPipeline(project_id=1, pipeline_id=n, look_at=NOW + n // 3 * HOUR) for n in range(1, 6)]
    await state.watch(watch)
    assert await state.progress(1) is None
    assert [one.pipeline_id for one in await state.due_pipelines(1, NOW + HOUR, 3)] == [2, 1, 5]
    assert await state.watched(1) == {1, 2, 3, 4, 5}
    assert await state.watched(2) == frozenset()


async def test_pipelines_that_moved_are_due_first(state):
    """However long the others wait."""
    await state.watch(
        [WatchedPipeline(project_id=1, pipeline_id=n, look_at=NOW + n * HOUR, looks=n % 2) for n in range(1, 6)]
    )
    assert [one.pipeline_id for one in await state.due_pipelines(1, NOW + 9 * HOUR, 9)] == [2, 4, 1, 3, 5]


async def test_hastened_pipelines_are_due_behind_those_that_were(state):
    """And those of other projects are not."""
    await state.watch([WatchedPipeline(project_id=1, pipeline_id=n, look_at=NOW + n * HOUR) for n in (-1, 1)])
    await state.watch([WatchedPipeline(project_id=2, pipeline_id=9, look_at=NOW + HOUR)])
    await state.hasten(1, NOW)
    assert [one.pipeline_id for one in await state.due_pipelines(1, NOW, 9)] == [-1, 1]
    assert await state.due_pipelines(2, NOW, 9) == ()


async def test_keeps_are_shifted_where_a_project_refuses(state, queue):
    """Those of one ref that are due, no others; and the downloads of their jobs go first."""
    refs = {1: "main", 2: "main", 3: "topic"}
    keeps = [replace(due(n, at=NOW + (n == 2) * HOUR), ref=ref) for n, ref in refs.items()]
    found = [transfer(n, deadline=NOW + (9 - n) * HOUR) for n in refs]
    await state.save_progress(progress(), found=found, keeps=keeps, now=NOW)
    await state.shift_keeps(1, ref="main", due_by=NOW, to=NOW + 3 * HOUR, first=NOW)
    assert [keep.job_id for keep in await state.due_keeps(NOW, 9)] == [3]
    assert [keep.job_id for keep in await state.due_keeps(NOW + 2 * HOUR, 9)] == [2, 3]
    assert (await queue.claim(NOW)).transfer.job.id == 1
    await state.shift_keeps(1, due_by=NOW + 3 * HOUR, to=NOW)
    assert [keep.job_id for keep in await state.due_keeps(NOW, 9)] == [1, 2, 3]


async def test_a_released_job_is_not_kept_again(state):
    """The ledger says so, and every keep of the job is settled; those of other jobs are not."""
    await state.save_progress(progress(), keeps=[due(1), due(1, rule="other"), due(2)], now=NOW)
    given_up = entry(1, result=KeepResult.RELEASED)
    await state.released(given_up)
    assert [keep.job_id for keep in await state.due_keeps(NOW + HOUR, 9)] == [2]
    assert [line async for line in state.keeps()] == [given_up]


async def test_a_keep_is_due_until_it_is_settled(state):
    """Known keeps are left alone, settled ones too."""
    await state.save_progress(progress(), keeps=[due(at=NOW)], now=NOW)
    await state.save_progress(progress(), keeps=[due(at=NOW + HOUR)], now=NOW)
    assert await state.next_keep() == NOW
    assert await state.due_keeps(NOW - HOUR, 10) == ()
    (now_due,) = await state.due_keeps(NOW, 10)
    assert now_due == due(at=NOW)
    failed = entry(result=KeepResult.FAILED)
    await state.keep_done(now_due, failed, again_at=NOW + HOUR, expire_at=NOW + 2 * HOUR)
    assert await state.due_keeps(NOW, 10) == ()
    (again,) = await state.due_keeps(NOW + HOUR, 10)
    assert (again.attempts, again.expire_at) == (1, NOW + 2 * HOUR)
    await state.keep_done(again, entry(at=NOW + HOUR), again_at=None, expire_at=None)
    await state.save_progress(progress(), keeps=[due()], now=NOW)
    assert await state.due_keeps(NOW + 9 * HOUR, 10) == ()
    assert await state.next_keep() is None
    assert [line async for line in state.keeps()] == [entry(at=NOW + HOUR), failed]


async def test_the_soonest_expiry_is_kept_first(state):
    """And no more are given than asked for."""
    keeps = [due(n, expire=NOW + n * HOUR) for n in (3, 1, 2)]
    await state.save_progress(progress(), keeps=keeps, now=NOW)
    assert [keep.job_id for keep in await state.due_keeps(NOW, 2)] == [1, 2]


async def test_what_is_mirrored_needs_no_keep(state, queue):
    """Unless the rule says always; a job of which nothing is fetched, or not all, is not mirrored."""
    found = [transfer(1, deadline=NOW + HOUR), transfer(2)]
    keeps = [due(1), due(1, rule="forever", always=True), due(2), due(3)]
    new = await state.save_progress(progress(), found=found, keeps=keeps, now=NOW)
    await publish(queue, new[0].id)
    assert {(keep.job_id, keep.rule) for keep in await state.due_keeps(NOW, 10)} == {
        (1, "forever"),
        (2, "releases"),
        (3, "releases"),
    }
    await state.save_progress(progress(), found=[transfer(1, names=("job.log",))], keeps=[due(1)], now=NOW)
    assert (1, "releases") in {(keep.job_id, keep.rule) for keep in await state.due_keeps(NOW, 10)}


async def test_a_keep_moves_the_deadline_of_what_is_still_to_come(state, queue):
    """The job's open transfers, and no other's."""
    found = [transfer(1, deadline=NOW + HOUR), transfer(2, deadline=NOW + 2 * HOUR)]
    await state.save_progress(progress(), found=found, keeps=[due(1)], now=NOW)
    await state.keep_done(due(1), entry(1), again_at=None, expire_at=None)
    (kept,) = await state.find(1, 1)
    assert kept.transfer.deadline is None
    claimed = await queue.claim(NOW)
    assert (claimed.transfer.job.id, claimed.transfer.deadline) == (2, NOW + 2 * HOUR)


async def test_what_cannot_be_kept_goes_first(state, queue):
    """Only the download can save it."""
    found = [transfer(1, deadline=NOW + 2 * HOUR), transfer(2, deadline=NOW + HOUR)]
    await state.save_progress(progress(), found=found, keeps=[due(1)], now=NOW)
    await state.keep_done(due(1), entry(1), again_at=None, expire_at=NOW + 2 * HOUR, first=True)
    claimed = await queue.claim(NOW)
    assert (claimed.transfer.job.id, claimed.transfer.deadline) == (1, NOW + 2 * HOUR)


async def test_long_lists_are_streamed_whole(state, queue):
    """More than a page of the ledger and of publications, each once, in order."""
    found = [transfer(job_id) for job_id in range(450, 0, -1)]
    new = await state.save_progress(progress(), found=found, now=NOW)
    for queued in new:
        await publish(queue, queued.id)
        at = NOW + timedelta(seconds=queued.id)
        await state.keep_done(due(queued.id), entry(queued.id, at=at), again_at=None, expire_at=None)
    ids = [queued.id for queued in new]
    assert [queued.id async for queued in state.published()] == ids
    assert [line.job_id async for line in state.keeps()] == ids[::-1]


async def test_part_records_end_with_staging(state, queue):
    """They serve resuming only."""
    (new,) = await state.save_progress(progress(), found=[transfer()], now=NOW)
    assert await state.part_record(new.id, "artifacts.zip") is None
    record = PartRecord(transfer_id=new.id, item="artifacts.zip", size=5, etag='"e"', total=10)
    await state.save_part(record)
    grown = replace(record, size=8)
    await state.save_part(grown)
    assert await state.part_record(new.id, "artifacts.zip") == grown
    await queue.claim(NOW)
    await queue.stage(new.id, [staged_file("artifacts.zip", b"x", "p")])
    assert await state.part_record(new.id, "artifacts.zip") is None


async def test_the_summary_counts(state, queue):
    """Every state, the bytes, what is at risk, what failed last."""
    found = [transfer(n, deadline=NOW + n * HOUR) for n in range(1, 6)]
    await state.save_progress(progress(newest=5), found=found, keeps=[due(4), due(5)], now=NOW)
    ids = [(await state.find(1, n))[0].id for n in range(1, 6)]
    await publish(queue, ids[0])
    for n in (1, 2):
        assert (await queue.claim(NOW)).id == ids[n]
    await queue.fail(ids[1], Outcome.CORRUPT, "first", retry_at=NOW + HOUR)
    await queue.fail(ids[2], Outcome.GONE, "second", retry_at=None)
    await queue.lost(ids[0])
    summary = await state.summary()
    assert {state: count for state, count in summary.by_state.items() if count} == {
        TransferState.LOST: 1,
        TransferState.WANTED: 3,
        TransferState.FAILED: 1,
    }
    assert summary.published_bytes == 0
    assert [queued.id for queued in summary.at_risk] == [ids[0], ids[1], ids[3], ids[4]]
    assert [queued.error for queued in summary.failures] == ["second", "first"]
    assert (summary.keeps_due, len(summary.keeps), summary.projects) == (2, 0, (progress(newest=5),))


async def test_everything_survives_reopening(open_state, state_kind):
    """What was answered was durable."""
    async with open_state() as state:
        found = transfer(deadline=NOW + HOUR)
        new = await state.save_progress(progress(newest=7), found=[found], keeps=[due()], now=NOW)
        await state.keep_done(due(), entry(), again_at=NOW + HOUR, expire_at=NOW + HOUR)
        before = await state.summary()
    async with open_state() as state:
        assert await state.summary() == before
        assert await state.find(1, 7) == new

"""Workers: what they do with each outcome, how long they wait, and how they end."""

from datetime import timedelta

import anyio
import pytest
import structlog

from artifact_sync.core.events import TransferEnded, TransferStarted
from artifact_sync.engine import EnginePolicy
from artifact_sync.engine.workers import Workers
from artifact_sync.errors import (
    ArtifactSyncError,
    Corrupt,
    CredentialRefused,
    Denied,
    DoesNotFit,
    NoSpace,
    NotAnArchive,
    NotFound,
    Obstructed,
    Outcome,
    StateError,
    StoreDamaged,
    Throttled,
    TooLarge,
    Transient,
)
from artifact_sync.ports import TransferState
from artifact_sync.queue import EmbeddedQueue
from tests.unit.engine.engine_doubles import Bench, bench, until

ONE = EnginePolicy(downloads=1, attempts=8, retry_base=10.0, retry_cap=300.0)
ASKED = "GET /api/v4/projects/1/jobs/7/artifacts"


def transient(retry_after: float | None = None) -> Transient:
    """A server that is overloaded."""
    return Transient(ASKED, "503", status=503, retry_after=retry_after)


async def worked(made: Bench, *, until_ended: int) -> None:
    """Let the workers run until so many attempts have ended, and stop them."""
    async with anyio.create_task_group() as group:
        group.start_soon(made.workers.run)
        await until(lambda: len(made.of(TransferEnded)) >= until_ended)
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (transient(), TransferState.WANTED),
        (Throttled(ASKED, "429", status=429), TransferState.WANTED),
        (Denied(ASKED, "403", status=403), TransferState.WANTED),
        (NotFound(ASKED, "404", status=404), TransferState.FAILED),
        (Corrupt("a CRC"), TransferState.WANTED),
        (NotAnArchive("a sign-in page"), TransferState.WANTED),
        (StoreDamaged("EIO"), TransferState.WANTED),
        (TooLarge("3 GiB"), TransferState.FAILED),
        (DoesNotFit("an exabyte"), TransferState.WANTED),
        (Obstructed("a link"), TransferState.FAILED),
    ],
)
async def test_a_failure_is_counted_and_told(tmp_path, error, state):
    """With its outcome, its text and its hint; what no repetition mends has failed at once."""
    async with bench(tmp_path, ONE, error) as made:
        await made.add(7)
        await worked(made, until_ended=1)
        queued = await made.transfer(7)
        (ended,) = made.of(TransferEnded)
        assert (queued.state, queued.attempts, queued.outcome) == (state, 1, error.outcome)
        assert (queued.error, ended.error, ended.hint) == (str(error), str(error), error.hint)
        assert (ended.retry_at is None) == (state is TransferState.FAILED)


@pytest.mark.parametrize("error", [NoSpace("full"), CredentialRefused(ASKED, "401", status=401)])
async def test_everybody_waits_when_nobody_can_succeed(tmp_path, error):
    """A full disk or a refused credential counts no attempt; after a pause it goes on by itself."""
    policy = EnginePolicy(downloads=3)
    async with bench(tmp_path, policy, error, error, error) as made, anyio.create_task_group() as group:
        await made.add(7, 8, 9)
        group.start_soon(made.workers.run)
        await until(lambda: len(made.clock.sleeping) == 4)
        assert 1 <= len(made.fetcher.calls) <= 3
        for job_id in (7, 8, 9):
            queued = await made.transfer(job_id)
            assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
        made.fetcher.script.clear()
        made.clock.advance(60)
        await until(lambda: made.workers.tally.published == 3)
        group.cancel_scope.cancel()
    assert (made.workers.tally.failed, made.workers.tally.retries) == (0, 0)


@pytest.mark.parametrize("error", [NoSpace("full"), CredentialRefused(ASKED, "401", status=401)])
async def test_a_single_pass_does_not_wait_for_a_person(tmp_path, error):
    """It ends with that error, and everything is wanted still."""
    async with bench(tmp_path, EnginePolicy(downloads=2), error, error) as made:
        await made.add(7, 8, 9)
        with anyio.fail_after(10), pytest.raises(ExceptionGroup) as raised:
            await made.workers.run(anyio.Event())
        assert raised.group_contains(type(error))
        assert {(await made.transfer(job_id)).state for job_id in (7, 8, 9)} == {TransferState.WANTED}


async def test_a_server_that_names_a_time_is_given_it(tmp_path):
    """Nothing is tried before it, and then it is."""
    async with bench(tmp_path, ONE, transient(retry_after=200.0)) as made, anyio.create_task_group() as group:
        await made.add(7)
        group.start_soon(made.workers.run)
        await until(lambda: len(made.of(TransferEnded)) == 1)
        retry_at = made.of(TransferEnded)[0].retry_at
        assert retry_at is not None
        wait = (retry_at - made.clock.now()).total_seconds()
        assert 200 <= wait <= 210
        made.clock.advance(199)
        assert await made.queue.claim(made.clock.now()) is None
        made.clock.advance(wait - 199)
        made.workers.wake()
        await until(lambda: made.workers.tally.published == 1)
        group.cancel_scope.cancel()


async def test_several_tries_fit_in_before_the_deadline(tmp_path):
    """However long the waits would be."""
    policy = EnginePolicy(downloads=1, attempts=8, retry_base=10_000.0, retry_cap=10_000.0)
    async with bench(tmp_path, policy, transient(retry_after=9000.0)) as made:
        deadline = made.clock.now() + timedelta(minutes=20)
        await made.add(7, deadline=deadline)
        await worked(made, until_ended=1)
        retry_at = made.of(TransferEnded)[0].retry_at
        assert retry_at is not None
        assert retry_at - made.clock.now() <= timedelta(minutes=5)


async def test_the_wait_may_double_up_to_the_cap(tmp_path):
    """Full jitter: anything up to twice the bound before. Of thirty transfers one at least comes near it each time."""
    jobs, bounds = 30, [10, 20, 40, 80, 160, 300]
    async with bench(tmp_path, ONE, *[Corrupt("a CRC") for _ in range(jobs * len(bounds))]) as made:
        await made.add(*range(1, jobs + 1))
        async with anyio.create_task_group() as group:
            group.start_soon(made.workers.run)
            for number, bound in enumerate(bounds, 1):
                await until(lambda: len(made.of(TransferEnded)) == number * jobs)  # noqa: B023 -- awaited here
                ends = [event.retry_at for event in made.of(TransferEnded)[-jobs:]]
                waits = [(end - made.clock.now()).total_seconds() for end in ends if end is not None]
                assert len(waits) == jobs
                assert min(waits) >= 0
                assert bound / 2 < max(waits) <= bound
                made.clock.advance(bound)
                made.workers.wake()
            group.cancel_scope.cancel()


async def test_what_expires_is_tried_until_it_has(tmp_path):
    """When all attempts have failed, at growing distances; what does not expire is left to a later pass."""
    policy = EnginePolicy(downloads=1, attempts=2, retry_base=1.0, retry_cap=60.0)
    async with bench(tmp_path, policy, *[transient() for _ in range(40)]) as made:
        deadline = made.clock.now() + timedelta(hours=20)
        await made.add(7, deadline=deadline)
        await made.add(8)
        async with anyio.create_task_group() as group:
            group.start_soon(made.workers.run)
            await until(lambda: len(made.of(TransferEnded)) == 2)
            while (await made.transfer(7)).state is TransferState.WANTED:
                seen, queued = len(made.of(TransferEnded)), await made.transfer(7)
                assert queued.next_attempt_at is not None
                made.clock.advance(max(1.0, (queued.next_attempt_at - made.clock.now()).total_seconds()))
                made.workers.wake()
                await until(lambda: len(made.of(TransferEnded)) > seen)  # noqa: B023 -- awaited here
            group.cancel_scope.cancel()
        tries = [event for event in made.of(TransferEnded) if event.job_id == 7]
        assert 10 < len(tries) < 40
        assert made.clock.now() >= deadline
        assert (await made.transfer(8)).state is TransferState.FAILED


async def test_a_single_pass_gives_up_after_its_attempts(tmp_path):
    """Also what expires: the next pass tries again."""
    policy = EnginePolicy(downloads=1, attempts=2, retry_base=0.0, retry_cap=0.0)
    async with bench(tmp_path, policy, transient(), transient()) as made:
        await made.add(7, deadline=made.clock.now() + timedelta(hours=20))
        finish = anyio.Event()
        finish.set()
        with anyio.fail_after(10):
            await made.workers.run(finish)
        assert (await made.transfer(7)).state is TransferState.FAILED


async def test_an_outage_is_not_asked_again_by_everybody(tmp_path):
    """Three failures without a success, and all rest; then one tries at a time, until the first success."""
    policy = EnginePolicy(downloads=4, attempts=8, retry_base=0.001, retry_cap=0.001)
    failing = [transient() for _ in range(100)]
    async with bench(tmp_path, policy, *failing) as made, anyio.create_task_group() as group:
        await made.add(*range(1, 41))
        group.start_soon(made.workers.run)
        await until(lambda: len(made.clock.sleeping) == 5)
        calls = len(made.fetcher.calls)
        assert 3 <= calls <= 4
        for rest in (60, 60, 120, 240, 300, 300):
            made.clock.advance(rest + 30)
            await until(lambda: len(made.fetcher.calls) == calls + 1)  # noqa: B023 -- awaited here
            await until(lambda: len(made.clock.sleeping) == 5)
            calls += 1
        made.fetcher.script.clear()
        made.clock.advance(330)
        await until(lambda: made.workers.tally.published == 1)
        made.clock.advance(31)
        await until(lambda: made.workers.tally.published == 40)
        group.cancel_scope.cancel()


async def test_one_that_fails_alone_is_no_outage(tmp_path):
    """The others go on."""
    policy = EnginePolicy(downloads=1, attempts=8, retry_base=0.0, retry_cap=0.0)
    async with bench(tmp_path, policy, *[transient() for _ in range(7)]) as made:
        await made.add(7)
        await worked(made, until_ended=7)
        await made.add(8)
        await worked(made, until_ended=9)
        assert made.workers.tally.published == 2


async def test_a_broken_disk_ends_the_daemon(tmp_path):
    """After three in a row, so that a supervisor sees it; a success in between starts the count again."""
    damaged = [StoreDamaged("EIO"), StoreDamaged("EIO")]
    async with bench(tmp_path, ONE, *damaged, None, *damaged, StoreDamaged("EROFS")) as made:
        await made.add(*range(1, 7))
        with anyio.fail_after(10), pytest.raises(ExceptionGroup) as raised:
            await made.workers.run()
        assert raised.group_contains(StoreDamaged, match="EROFS")
        assert made.workers.tally.published == 1
        assert len(made.fetcher.calls) == 6


async def test_what_obstructs_single_destinations_ends_nothing(tmp_path):
    """However many there are; each is tried again in the next pass."""
    obstructed = [Obstructed("a link")] * 4
    async with bench(tmp_path, ONE, StoreDamaged("EIO"), *obstructed, StoreDamaged("EIO"), *obstructed) as made:
        await made.add(*range(1, 12))
        await worked(made, until_ended=11)
        assert made.workers.tally.published == 1
        assert await made.queue.revive() == 8


async def test_one_that_does_not_fit_does_not_keep_the_others_out(tmp_path):
    """A single pass goes on to its end; the one is wanted again later."""

    async def too_large(queued):
        if queued.transfer.job.id == 9:
            raise DoesNotFit("an exabyte")

    finish = anyio.Event()
    async with bench(tmp_path, EnginePolicy(downloads=1, attempts=1), *[too_large] * 9) as made:
        await made.add(*range(1, 10))
        finish.set()
        with anyio.fail_after(10):
            await made.workers.run(finish)
        assert (made.workers.tally.published, made.workers.tally.failed) == (8, 1)
        assert (await made.transfer(9)).outcome is Outcome.NO_SPACE
        assert await made.queue.revive() == 1


async def test_what_does_not_fit_is_looked_at_again_soon(tmp_path):
    """However often it did not: when there is room the daemon goes on by itself, and does not wait for hours."""
    policy = EnginePolicy(downloads=1, attempts=2, retry_base=10.0, retry_cap=300.0)
    async with bench(tmp_path, policy, *[DoesNotFit("an exabyte")] * 9) as made, anyio.create_task_group() as group:

        def published() -> bool:
            made.clock.advance(1)
            return made.workers.tally.published == 1

        await made.add(7)
        group.start_soon(made.workers.run)
        # Seconds pass quickly here, hours would not.
        await until(published)
        assert len(made.fetcher.calls) == 10
        group.cancel_scope.cancel()


async def test_a_pass_does_not_wait_for_what_waits_for_hours(tmp_path):
    """What the daemon would try again later is tried now."""
    async with bench(tmp_path, ONE) as made:
        await made.add(7)
        later = made.clock.now() + timedelta(hours=6)
        claimed = await made.queue.claim(made.clock.now())
        assert claimed is not None
        await made.queue.fail(claimed.id, Outcome.NO_SPACE, "full", retry_at=later)
        # A daemon has time, and would take many that fail at once for an outage.
        assert await made.queue.revive() == 0
        assert await made.queue.claim(made.clock.now()) is None
        await made.queue.hasten()
        assert await made.queue.claim(made.clock.now()) is not None


@pytest.mark.parametrize("step", ["claim", "fail", "release"])
async def test_a_state_without_room_ends_nothing(tmp_path, step):
    """Serving and keeping go on in the same process; what became of a transfer is written down when there is room again."""
    error = NoSpace("full") if step == "release" else DoesNotFit("an exabyte")
    async with bench(tmp_path, ONE, error) as made, anyio.create_task_group() as group:
        await made.add(7)
        write = getattr(made.queue, step)
        refused: list[int] = []

        async def full(*args, **kwargs):
            if len(refused) < 2:
                refused.append(1)
                raise NoSpace("the state's disk is full")
            return await write(*args, **kwargs)

        setattr(made.queue, step, full)
        group.start_soon(made.workers.run)
        with anyio.fail_after(20):
            while made.workers.tally.published < 1:
                made.clock.advance(31)
                await anyio.sleep(0.02)
        assert len(refused) == 2
        group.cancel_scope.cancel()


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_credential_is_asked_for_before_everybody_waits(tmp_path, everywhere):
    """Refused for one archive alone it is that transfer's failure; refused everywhere it is nobody's."""
    asked: list[int] = []

    async def probe():
        asked.append(1)
        return everywhere

    refused = CredentialRefused(ASKED, "the sign-in page", status=302)
    policy = EnginePolicy(downloads=1, attempts=1)
    async with bench(tmp_path, policy, refused) as made:
        await made.add(7, 8, 9)
        workers = Workers(
            queue=made.queue,
            store=made.store,
            fetcher=made.fetcher,
            clock=made.clock,
            policy=policy,
            emit=made.events.append,
            probe=probe,
        )
        finish = anyio.Event()
        finish.set()
        with anyio.fail_after(10):
            if everywhere:
                with pytest.raises(ExceptionGroup) as raised:
                    await workers.run(finish)
                assert raised.group_contains(CredentialRefused)
            else:
                await workers.run(finish)
        states = sorted([(await made.transfer(job_id)).state for job_id in (7, 8, 9)])
    published = TransferState.PUBLISHED
    assert states == ([TransferState.WANTED] * 3 if everywhere else [TransferState.FAILED, published, published])
    assert asked == [1]


@pytest.mark.parametrize(
    "crash", [OverflowError("with Private-Token: secret"), ExceptionGroup("two", [TypeError("x")])]
)
async def test_a_defect_met_by_one_job_is_its_failure_alone(tmp_path, crash):
    """It is told as loudly as a defect must be, and the others are mirrored; what it quotes stays out of the state."""
    finish = anyio.Event()
    with structlog.testing.capture_logs() as logs:
        async with bench(tmp_path, EnginePolicy(downloads=1, attempts=1), crash) as made:
            await made.add(7, 8)
            finish.set()
            with anyio.fail_after(10):
                await made.workers.run(finish)
            (failed,) = [job_id for job_id in (7, 8) if (await made.transfer(job_id)).state is TransferState.FAILED]
            queued = await made.transfer(failed)
    assert made.workers.tally.published == 1
    (logged,) = logs
    assert (logged["event"], logged["log_level"], logged["job"]) == ("transfer.crashed", "error", failed)
    assert "Traceback" in logged["traceback"]
    assert (type(crash).__name__ in queued.error, "secret" in queued.error) == (True, False)


async def test_a_defect_after_staging_can_be_tried_again(tmp_path):
    """The transfer is not left half-way where nobody looks."""
    async with bench(tmp_path, ONE) as made:
        await made.add(7)

        class Crashing(EmbeddedQueue):
            """The queue, with a defect in step P7."""

            async def publish(self, transfer_id, published, at):
                raise OverflowError

        workers = Workers(
            queue=Crashing(made.state),
            store=made.store,
            fetcher=made.fetcher,
            clock=made.clock,
            policy=ONE,
            emit=made.events.append,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(workers.run)
            await until(lambda: len(made.of(TransferEnded)) == 1)
            group.cancel_scope.cancel()
        queued = await made.transfer(7)
        assert (queued.state, queued.attempts) == (TransferState.WANTED, 1)


async def test_a_broken_state_ends_the_daemon_at_once(tmp_path):
    """Nothing can be remembered any more."""
    async with bench(tmp_path, ONE, StateError("malformed")) as made:
        await made.add(7)
        with anyio.fail_after(10), pytest.raises(ExceptionGroup) as raised:
            await made.workers.run()
        assert raised.group_contains(StateError)


async def test_a_stop_gives_the_transfer_back(tmp_path):
    """At once, with no attempt counted."""

    async def hang(_):
        await anyio.sleep_forever()

    async with bench(tmp_path, ONE, hang) as made:
        await made.add(7)
        async with anyio.create_task_group() as group:
            group.start_soon(made.workers.run)
            await until(lambda: made.fetcher.calls == [7])
            assert (await made.transfer(7)).state is TransferState.DOWNLOADING
            group.cancel_scope.cancel()
        queued = await made.transfer(7)
        assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
        assert made.of(TransferEnded) == []


async def test_a_stop_after_staging_waits_for_the_publication(tmp_path):
    """What is proved is not thrown away: it is published before the worker ends."""
    async with bench(tmp_path, ONE) as made, anyio.create_task_group() as group:
        await made.add(7)

        class Stopping(EmbeddedQueue):
            """The queue, during whose step P5 the stop is asked for."""

            async def stage(self, transfer_id, files):
                await super().stage(transfer_id, files)
                group.cancel_scope.cancel()

        workers = Workers(
            queue=Stopping(made.state),
            store=made.store,
            fetcher=made.fetcher,
            clock=made.clock,
            policy=ONE,
            emit=made.events.append,
        )
        group.start_soon(workers.run)
    async with bench(tmp_path, ONE) as made:
        assert (await made.transfer(7)).state is TransferState.PUBLISHED
    assert (tmp_path / "store" / "tree" / "acme/app/7/job.log").read_bytes() == b"job 7"


async def test_a_pass_ends_when_nothing_is_left(tmp_path):
    """Also with more workers than work, none of which waits for its next look."""
    finish = anyio.Event()
    async with bench(tmp_path, EnginePolicy(downloads=8)) as made:
        await made.add(1, 2, 3)
        finish.set()
        with anyio.fail_after(4):
            await made.workers.run(finish)
        assert (made.workers.tally.published, made.workers.tally.published_bytes > 0) == (3, True)
        assert len(made.of(TransferStarted)) == len(made.of(TransferEnded)) == 3


async def test_a_pass_waits_for_more_until_it_is_told(tmp_path):
    """An empty queue is no end while discovery is still looking."""
    finish = anyio.Event()
    async with bench(tmp_path, ONE) as made, anyio.create_task_group() as group:
        group.start_soon(made.workers.run, finish)
        await made.add(1)
        made.workers.wake()
        await until(lambda: made.workers.tally.published == 1)
        await made.add(2)
        made.workers.wake()
        await until(lambda: made.workers.tally.published == 2)
        finish.set()
        made.workers.wake()


@pytest.mark.parametrize("moment", range(12))
async def test_no_wake_is_missed(tmp_path, moment):
    """Whenever it comes, the end of a pass does not wait for a worker's next look."""
    finish = anyio.Event()
    async with bench(tmp_path, EnginePolicy(downloads=4)) as made:
        with anyio.fail_after(4):
            async with anyio.create_task_group() as group:
                group.start_soon(made.workers.run, finish)
                for _ in range(moment):
                    await anyio.sleep(0.0005)
                finish.set()
                made.workers.wake()
        assert await made.queue.open_count() == 0


def test_the_errors_of_this_test_are_all_there_are():
    """A new outcome needs a decision here: published is the only one that no error carries."""
    carried = {kind.outcome for kind in _kinds(ArtifactSyncError)}
    assert set(Outcome) - carried == {Outcome.PUBLISHED}


def _kinds(kind: type[ArtifactSyncError]) -> set[type[ArtifactSyncError]]:
    return {kind}.union(*(_kinds(sub) for sub in kind.__subclasses__()))

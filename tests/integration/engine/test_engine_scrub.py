"""The daemon reads the whole store within its period, evenly, and brings back what it finds damaged."""

import ctypes
import platform
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from artifact_sync.core.events import Damaged, TransferEnded
from artifact_sync.core.inspection import Expected, Inspection
from artifact_sync.engine.scrub import Scrubber
from artifact_sync.errors import StoreError
from artifact_sync.ports import TransferState
from artifact_sync.simulator import SimClock, World, serve
from artifact_sync.store import LocalStore
from artifact_sync.store.idle import idle
from tests.integration.engine.engine_harness import (
    QUICK,
    DrivenClock,
    Rig,
    build,
    digests,
    mirrored,
    rig,
    rule,
    running,
    until,
)
from tests.integration.engine.test_engine_verify import archive, flip
from tests.storage import publication, transfer

MONTH = timedelta(days=30)


@asynccontextmanager
async def scrubbed(daemon: Rig) -> AsyncIterator[None]:
    """A scrubber at work on the rig's store and clock."""
    scrubber = Scrubber(store=daemon.store, state=daemon.state, clock=daemon.clock, emit=daemon.events.append)
    async with anyio.create_task_group() as group:
        group.start_soon(scrubber.run, MONTH)
        yield
        group.cancel_scope.cancel()


async def advance(clock: DrivenClock, by: timedelta, step: timedelta) -> None:
    """Let time pass, and whoever wakes up do what there is to do before more passes."""
    for _ in range(by // step):
        await until(lambda: clock.asleep == 1)
        clock.advance(step)
    await until(lambda: clock.asleep == 1)


async def verified(daemon: Rig) -> int:
    """Publications that were read since they were published."""
    return len([queued async for queued in daemon.state.mirrored() if queued.verified_at is not None])


async def test_everything_is_read_within_the_period_and_evenly(tmp_path):
    """None before its time and none twice; after half of the time about half of them; again in the next period."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    jobs = [job for _ in range(5) for job in build(world, app, *(f"build{n}" for n in range(6))).jobs]
    async with serve(world), rig(world, tmp_path, rule(), clock=clock) as daemon:
        assert (await daemon.sync()).complete
        async with scrubbed(daemon):
            await advance(clock, MONTH / 4, timedelta(hours=3))
            assert 5 <= await verified(daemon) <= 12
            await advance(clock, MONTH / 4, timedelta(hours=3))
            assert 12 <= await verified(daemon) <= 24
            await advance(clock, MONTH / 2, timedelta(hours=3))
            assert await verified(daemon) == len(jobs) == 30
            summary = await daemon.state.summary()
            assert summary.oldest_verified is not None
            assert clock.now() - summary.oldest_verified <= MONTH
            await advance(clock, MONTH, timedelta(hours=3))
            oldest = (await daemon.state.summary()).oldest_verified
            assert oldest is not None
            assert clock.now() - oldest <= MONTH
            assert (await daemon.state.summary()).counts["scrub.publications"] <= 90
    assert daemon.of(Damaged) == []


async def test_damage_is_found_set_aside_and_wanted_again(tmp_path):
    """The longest unread first, so that nothing is passed over; it is counted, and nobody can read it any more."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    jobs = [job for _ in range(3) for job in build(world, app, "build").jobs]
    async with serve(world), rig(world, tmp_path, rule(), clock=clock) as daemon:
        assert (await daemon.sync()).complete
        flip(archive(daemon, jobs[1]))
        async with scrubbed(daemon):
            await advance(clock, MONTH, timedelta(hours=8))
        assert [event.job_id for event in daemon.of(Damaged)] == [jobs[1].id]
        assert (await daemon.transfer(jobs[1])).state is TransferState.LOST
        assert mirrored(tmp_path).keys() == {jobs[0].id, jobs[2].id}
        summary = await daemon.state.summary()
        assert summary.counts["damage.found"] == 1
        assert summary.last_verified is not None
        assert (await daemon.sync()).complete
        assert mirrored(tmp_path) == digests(jobs)


async def test_the_daemon_scrubs_and_repairs_by_itself(tmp_path):
    """Running, it finds a damaged file a minute after its start at the earliest, and fetches it again."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    (job,) = build(world, app, "build").jobs
    policy = replace(QUICK, scrub=MONTH, audit=None)
    async with serve(world), rig(world, tmp_path, rule(), clock=clock, policy=policy) as daemon:
        assert (await daemon.sync()).complete
        flip(archive(daemon, job))
        async with running(daemon):
            await until(lambda: clock.asleep >= 6)
            for _ in range(20):
                clock.advance(10)
                await anyio.sleep(0.05)
            await until(lambda: len(daemon.of(TransferEnded)) == 2)
    assert len(daemon.of(Damaged)) == 1
    assert mirrored(tmp_path) == digests([job])


async def test_a_stop_waits_for_one_block_at_most(tmp_path):
    """Cancelled in the middle of a large file, nothing more of it is read."""
    async with LocalStore.open(tmp_path / "store") as store:
        wanted = await publication(store, {"artifacts.zip": bytes(64 << 20)}, of=transfer(names=("artifacts.zip",)))
        await store.publish(wanted)
        blocks: list[int] = []
        begun, go_on = threading.Event(), threading.Event()

        def block(count: int) -> None:
            blocks.append(count)
            begun.set()
            go_on.wait(10)

        inspector = store.inspector(progress=block)
        async with anyio.create_task_group() as group:
            expected = Expected(dest=wanted.transfer.dest, files=wanted.files)
            group.start_soon(inspector.inspect, expected)
            await until(begun.is_set)
            group.cancel_scope.cancel()
        go_on.set()
    # The store closes only once the thread has ended.
    assert len(blocks) == 1


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the number of ioprio_get(2) on this machine is not known here"
)
def test_idle_priority_is_the_threads_own_and_is_given_back():
    """Idle within the block, as before behind it."""

    def now() -> int:
        return int(ctypes.CDLL(None).syscall(252, 1, 0)) >> 13

    before = now()
    with idle() as there:
        assert there
        assert now() == 3
    assert now() == before


class Refusing:
    """A store that does not let one destination be looked into."""

    def __init__(self, store: LocalStore, dest: str) -> None:
        self._inner = store.inspector()
        self._dest = dest

    def inspector(self) -> "Refusing":
        return self

    async def inspect(self, *expected: Expected) -> tuple[Inspection, ...]:
        if any(each.dest == self._dest for each in expected):
            raise StoreError("it may not be read", hint="")
        return await self._inner.inspect(*expected)


async def test_what_cannot_be_looked_into_does_not_keep_the_others_back(tmp_path):
    """One that is refused is passed over, and is not called verified."""
    world = World(clock=SimClock.manual())
    clock = DrivenClock(world.clock)
    app = world.add_project("acme/app")
    jobs = [job for _ in range(3) for job in build(world, app, "build").jobs]
    async with serve(world), rig(world, tmp_path, rule(), clock=clock) as daemon:
        assert (await daemon.sync()).complete
        (first,) = await daemon.state.stalest(1)
        refusing: Any = Refusing(daemon.store, first.transfer.dest)
        daemon.store = refusing
        async with scrubbed(daemon):
            await advance(clock, MONTH, timedelta(hours=8))
        assert await verified(daemon) == len(jobs) - 1
        assert (await daemon.state.stalest(1))[0].id == first.id

"""Workers take other limits while they work, and say how long they have made no step."""

import anyio

from artifact_sync.core.events import TransferEnded, TransferStarted
from artifact_sync.engine import EnginePolicy
from artifact_sync.errors import Outcome
from artifact_sync.ports.steps import stepped, waiting, watched
from tests.unit.engine.engine_doubles import DrivenClock, bench, until


async def test_more_or_fewer_workers_from_now_on_and_nothing_is_given_up(tmp_path):
    """One becomes three, three become one; each transfer is fetched once."""
    done = anyio.Event()

    async def hold(_: object) -> None:
        await done.wait()

    async with bench(tmp_path, EnginePolicy(downloads=1), *[hold] * 6) as made:
        await made.add(1, 2, 3, 4, 5, 6)
        async with anyio.create_task_group() as group:
            group.start_soon(made.workers.run)
            await until(lambda: len(made.fetcher.calls) == 1)
            made.workers.renew(EnginePolicy(downloads=3))
            await until(lambda: len(made.fetcher.calls) == 3)
            made.workers.renew(EnginePolicy(downloads=1))
            assert not made.of(TransferEnded)
            done.set()
            await until(lambda: len(made.of(TransferEnded)) == 6)
            group.cancel_scope.cancel()
    assert sorted(made.fetcher.calls) == [1, 2, 3, 4, 5, 6]
    assert {event.outcome for event in made.of(TransferEnded)} == {Outcome.PUBLISHED}
    # Those that were too many were gone after what they had at the time: never two at once from then on.
    begun = [type(event) for event in made.events if isinstance(event, TransferStarted | TransferEnded)]
    assert begun[-6:] == [TransferStarted, TransferEnded] * 3


async def test_a_worker_that_makes_no_step_is_seen_and_one_that_has_nothing_to_do_is_not(tmp_path):
    """Bytes are a step; a wait with an end of its own is none, and no standstill either."""
    step, limited, through = anyio.Event(), anyio.Event(), anyio.Event()

    async def fetch(_: object) -> None:
        await step.wait()
        stepped()
        await limited.wait()
        with waiting():
            await through.wait()

    async with bench(tmp_path, EnginePolicy(downloads=2), fetch) as made, anyio.create_task_group() as group:
        group.start_soon(made.workers.run)
        made.clock.advance(5000)
        assert made.workers.still == 0.0
        await made.add(1)
        made.workers.wake()
        await until(lambda: bool(made.fetcher.calls))
        made.clock.advance(5000)
        assert made.workers.still == 5000.0
        step.set()
        await until(lambda: made.workers.still == 0.0)
        made.clock.advance(100)
        assert made.workers.still == 100.0
        limited.set()
        await until(lambda: made.workers.still == 0.0)
        made.clock.advance(5000)
        assert made.workers.still == 0.0
        through.set()
        await until(lambda: bool(made.of(TransferEnded)))
        made.clock.advance(5000)
        assert made.workers.still == 0.0
        group.cancel_scope.cancel()


async def test_steps_belong_to_who_makes_them_with_the_tasks_that_he_starts():
    """Of two who work side by side each has its own; without anybody who watches nothing happens."""
    clock = DrivenClock()
    found = {}

    async def work(name: str, *, steps_on: bool) -> None:
        with watched(clock) as steps:
            found[name] = steps
            async with anyio.create_task_group() as group:
                if steps_on:
                    group.start_soon(step_later)
                await anyio.sleep_forever()

    async def step_later() -> None:
        await clock.sleep(10)
        stepped()

    stepped()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: work("one", steps_on=True))
        group.start_soon(lambda: work("two", steps_on=False))
        await until(lambda: len(clock.sleeping) == 1)
        clock.advance(10)
        await until(lambda: found["one"].still == 0.0)
        assert found["two"].still == 10.0
        group.cancel_scope.cancel()

"""Batches: what gathers while a thread is busy is done at once, and nobody's failure is another's."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import anyio
import pytest
from anyio import to_thread

from artifact_sync.errors import StoreDamaged
from artifact_sync.store.batches import Batches, each

WAIT = 10


class Held:
    """Work that is held up until it is let go; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        with self._lock:
            self.batches.append(list(items))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.begun.set()
        assert self.go.wait(WAIT)
        with self._lock:
            self.at_once -= 1
        return [StoreDamaged(f"{item}", hint="") if item < 0 else item * 2 for item in items]


async def test_what_gathers_is_done_at_once_and_each_has_its_own_result():
    """One hop for all that came while the first was at work; a failure is that item's alone."""
    held = Held()
    batches = Batches(held, threads=1)
    results: dict[int, int | str] = {}

    async def ask(item: int) -> None:
        try:
            results[item] = await batches.do(item)
        except StoreDamaged as error:
            results[item] = f"damaged {error}"

    async with anyio.create_task_group() as group:
        group.start_soon(ask, 1)
        await to_thread.run_sync(held.begun.wait, WAIT)
        for item in (2, -3, 4):
            group.start_soon(ask, item)
        await anyio.sleep(0.05)
        held.go.set()
    assert held.batches == [[1], [2, -3, 4]]
    assert results == {1: 2, 2: 4, -3: "damaged -3", 4: 8}
    assert await batches.do(5) == 10


async def test_what_befalls_the_whole_batch_befalls_each_of_it():
    """And the next batch is another one."""
    failing = True

    def work(items: Sequence[int]) -> list[int | Exception]:
        if failing:
            raise StoreDamaged("gone", hint="")
        return list(items)

    batches = Batches(work, threads=1)
    seen: list[str] = []

    async def ask(item: int) -> None:
        with pytest.raises(StoreDamaged, match="gone"):
            await batches.do(item)
        seen.append("gone")

    async with anyio.create_task_group() as group:
        for item in range(3):
            group.start_soon(ask, item)
    failing = False
    assert seen == ["gone"] * 3
    assert await batches.do(7) == 7


async def test_a_slow_batch_does_not_hold_up_the_next():
    """Others are begun beside it, in so many threads and no more."""
    held = Held()
    batches = Batches(held, threads=2)
    async with anyio.create_task_group() as group:
        for item in range(3):
            group.start_soon(batches.do, item)
            await anyio.sleep(0.05)
        assert held.batches == [[0], [1]]
        held.go.set()
    assert held.batches == [[0], [1], [2]]
    assert held.most == 2


@pytest.mark.parametrize("cancelled", [0, 1], ids=["who leads", "who waits"])
async def test_a_cancelled_caller_leaves_nobody_behind(cancelled):
    """What a thread has begun is waited for, and the others have their results."""
    held = Held()
    batches = Batches(held, threads=1)
    results: list[int] = []
    scopes = [anyio.CancelScope() for _ in range(3)]

    async def ask(item: int) -> None:
        with scopes[item]:
            results.append(await batches.do(item))

    async with anyio.create_task_group() as group:
        for item in range(3):
            group.start_soon(ask, item)
            await to_thread.run_sync(held.begun.wait, WAIT)
        scopes[cancelled].cancel()
        await anyio.sleep(0.05)
        held.go.set()
    assert [item for batch in held.batches for item in batch] == [0, 1, 2]
    assert {0, 2, 4} - {2 * cancelled} <= set(results)


def test_each_is_done_whatever_befalls_the_others():
    """In order, each with its result or its exception."""

    def fail() -> int:
        raise StoreDamaged("this one", hint="")

    first, second, third = each([lambda: 1, fail, lambda: 3])
    assert (first, third) == (1, 3)
    assert isinstance(second, StoreDamaged)

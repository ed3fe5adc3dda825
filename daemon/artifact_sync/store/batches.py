"""A few worker threads for many small pieces of work: what gathers while they are busy is done next, all at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from anyio import CancelScope, CapacityLimiter, Event, move_on_after, to_thread

__all__ = ["Batches", "each"]

T = TypeVar("T")
R = TypeVar("R")

#: Items of one batch at most, so that the first of them does not wait for long.
_MOST = 32
#: Seconds after which a batch is not quick.
_PATIENCE = 0.01


@dataclass(slots=True, eq=False)
class _Waiter(Generic[T, R]):
    item: T
    #: Set once it is done, or when it is this one's turn to lead. Of those that wait.
    roused: Event | None = None
    result: R | Exception | None = None
    done: bool = False

    def rouse(self) -> None:
        if self.roused is not None:
            self.roused.set()


class Batches(Generic[T, R]):
    """Does ``work`` on batches of items. ``work`` gives a result, or an exception, for each item.

    A hop into a thread, and what a batch shares, then cost once for all of it. The first one that comes leads a batch of its
    own, and those that come meanwhile are the next. One batch at a time is best where each is quick, for threads of Python are
    in each other's way; where a batch waits for a slow disk, others are begun beside it, in up to ``threads`` threads.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R | Exception]], *, threads: int) -> None:
        self._work = work
        self._limiter = CapacityLimiter(threads)
        #: Batches at work.
        self._led = 0
        self._waiting: deque[_Waiter[T, R]] = deque()

    async def do(self, item: T) -> R:
        """The result for this item. A cancelled caller waits for it. Raises the item's exception, or the batch's."""
        waiter: _Waiter[T, R] = _Waiter(item)
        # The work of others depends on the one that leads; and what a thread does is not undone by going away.
        with CancelScope(shield=True):
            if not self._led:
                self._led = 1
            else:
                await self._wait(waiter)
            if not waiter.done:
                await self._lead(waiter)
        if isinstance(waiter.result, Exception):
            raise waiter.result
        return waiter.result  # type: ignore[return-value]  # done, and no exception: a result

    async def _wait(self, waiter: _Waiter[T, R]) -> None:
        """Until it is done, or it is this one's turn to lead."""
        waiter.roused = Event()
        self._waiting.append(waiter)
        if self._waiting[0] is waiter:
            with move_on_after(_PATIENCE):
                await waiter.roused.wait()
            if waiter in self._waiting and self._led < self._limiter.total_tokens:
                self._waiting.remove(waiter)
                self._led += 1
                return
        await waiter.roused.wait()

    async def _lead(self, first: _Waiter[T, R]) -> None:
        batch = [first]
        while self._waiting and len(batch) < _MOST:
            batch.append(self._waiting.popleft())
        results: Sequence[R | Exception]
        try:
            items = [waiter.item for waiter in batch]
            results = await to_thread.run_sync(self._work, items, limiter=self._limiter)
        except Exception as error:  # noqa: BLE001 - handed to everybody whom it concerns
            results = [error] * len(batch)
        for waiter, result in zip(batch, results, strict=True):
            waiter.result, waiter.done = result, True
            waiter.rouse()
        if self._waiting:
            self._waiting.popleft().rouse()
        else:
            self._led -= 1


def each(works: Sequence[Callable[[], R]]) -> list[R | Exception]:
    """Do them one after another, each on its own."""
    results: list[R | Exception] = []
    for work in works:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the one whose work it is
            results.append(error)
    return results

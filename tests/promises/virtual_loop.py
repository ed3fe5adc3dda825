"""An event loop that tells when nothing is left to do but to let time pass, and then lets it pass.

What is awaited without a clock (a thread's answer, bytes on a socket) is waited for in real time; only when nothing of
the kind is under way, and no task can go on, ``idle`` is called, which moves the world's clock to the next moment at
which somebody wakes up. So a task never sees time pass while it works, and a day without events costs nothing.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio import to_thread

# The only place that knows which of anyio's threads work at the moment.
from anyio._backends._asyncio import _threadpool_idle_workers, _threadpool_workers

__all__ = ["Census", "run_virtually"]

T = TypeVar("T")

#: Turns of the loop in one moment of virtual time after which somebody works in a circle.
_ENDLESS = 300_000


class Census:
    """What is under way outside the event loop, and what to do when nothing is."""

    def __init__(self) -> None:
        #: Whether some exchange over HTTP has not ended.
        self.exchanging: Callable[[], bool] = lambda: False
        #: Called when nothing is under way; whether it made anything ready.
        self.idle: Callable[[], bool] = lambda: False
        #: Called at every turn of the loop.
        self.turn: Callable[[], None] = lambda: None
        self._threads: tuple[Any, Any] = ((), ())

    async def watch_threads(self) -> None:
        """Find anyio's threads, which are made with the first call to one."""
        await to_thread.run_sync(lambda: None)
        self._threads = _threadpool_workers.get(), _threadpool_idle_workers.get()

    @property
    def in_threads(self) -> bool:
        """Whether a thread has yet to answer."""
        workers, idle = self._threads
        return len(workers) > len(idle)


class _Selector(selectors.DefaultSelector):
    def __init__(self, census: Census) -> None:
        super().__init__()
        self._census = census
        self._answers = select.poll()
        self._turns = 0

    def answered_by(self, fd: int) -> None:
        """The descriptor by which threads wake the loop."""
        self._answers.register(fd, select.POLLIN)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Answers of threads come before anything on a socket, so that a run does not depend on how fast they are."""
        census = self._census
        census.turn()
        self._turns += 1
        assert self._turns < _ENDLESS, "the daemon goes on without end in one moment"
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if census.in_threads:
            self._answers.poll(None if timeout is None else timeout * 1000)
            return super().select(0)
        found = super().select(0)
        if found:
            return found
        if not census.exchanging() and census.idle():
            self._turns = 0
            return []
        return super().select(timeout)


def run_virtually(main: Callable[[Census], Coroutine[Any, Any, T]]) -> T:
    """Run it to its end on a loop of its own."""
    census = Census()
    selector = _Selector(census)

    def make() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(selector)
        selector.answered_by(loop._ssock.fileno())  # type: ignore[attr-defined]  # the loop's wake-up pipe has no name
        return loop

    async def counted() -> T:
        await census.watch_threads()
        return await main(census)

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(counted())

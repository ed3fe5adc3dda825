"""Show what is written to somebody in a second thread, while the next piece of it is written.

A write into the page cache and a hash take about as long as each other, and both let go of the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeAlias

__all__ = ["alongside"]

Show: TypeAlias = Callable[[memoryview], None]

#: Of the process, as the worker threads of anyio are: as many as parts can be written at once.
_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="alongside")


@contextmanager
def alongside(show: Show) -> Iterator[Show]:
    """What is given is shown in order; all of it at the end of the block, however that ends. Raises what ``show`` raises."""
    pieces: SimpleQueue[memoryview | None] = SimpleQueue()

    def all_shown() -> None:
        while (piece := pieces.get()) is not None:
            show(piece)

    done = _THREADS.submit(all_shown)
    try:
        yield pieces.put
    finally:
        pieces.put(None)
        done.result()

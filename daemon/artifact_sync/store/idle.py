"""Work in threads whose reads wait for everybody else's."""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

__all__ = ["IdleThreads", "Stopped", "idle"]

T = TypeVar("T")

#: ioprio_set(2) has no wrapper in the C library: its numbers, from each architecture's table in the kernel's sources.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314, "i686": 289, "ppc64le": 273, "s390x": 282}
_NUMBER = _IOPRIO_SET.get(platform.machine())
_LIBRARY = ctypes.CDLL(None)
_WHO_PROCESS = 1
_CLASS_NONE, _CLASS_IDLE = 0, 3 << 13


class Stopped(Exception):
    """Nobody waits for the answer any more. No error."""


@contextmanager
def idle() -> Iterator[bool]:
    """Give the calling thread idle IO priority, and its own again in the end; whether the system has it, and allows it.

    Of a thread alone: the pool's next user must not inherit it. A niceness could not be taken back (setpriority(2)).
    """
    there = _set(_CLASS_IDLE)
    try:
        yield there
    finally:
        if there:
            _set(_CLASS_NONE)


def _set(priority: int) -> bool:
    if _NUMBER is None:
        return False
    called: int = _LIBRARY.syscall(_NUMBER, _WHO_PROCESS, 0, priority)
    return called == 0


class IdleThreads:
    """So many pieces of work at a time. Each ends within a block once its caller is gone: it asks at every one."""

    def __init__(self, threads: int) -> None:
        self._limiter = CapacityLimiter(threads)
        self._local = threading.local()

    def require_going(self) -> None:
        """Called by what runs in a thread. Raises Stopped once nobody waits for it."""
        stop: threading.Event | None = getattr(self._local, "stop", None)
        if stop is not None and stop.is_set():
            raise Stopped

    async def run(self, work: Callable[[], T]) -> T:
        """Run it in one of the threads."""
        stop = threading.Event()

        def quietly() -> T:
            self._local.stop = stop
            with idle():
                return work()

        try:
            return await to_thread.run_sync(quietly, abandon_on_cancel=True, limiter=self._limiter)
        finally:
            stop.set()

"""The process around a command: signals in, one exit code out."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

__all__ = ["GRACE", "Stopped", "finish", "supervise"]

#: Seconds between a stop signal and the end of the process. What is published stays whole and every part resumable even
#: when a process is killed, so a thread that cannot be interrupted (one fsync, one archive check) is not waited for.
GRACE = 4.5


@dataclass(frozen=True, slots=True)
class Stopped:
    """The work was ended by a signal."""

    signal: signal.Signals

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it."""
        return 128 + self.signal


def finish(ended: int | Stopped) -> int:
    """The exit code of a command that has an end of its own."""
    return ended.exit_code if isinstance(ended, Stopped) else ended


def supervise(
    work: Callable[[], Awaitable[int]],
    *,
    on_stop: Callable[[signal.Signals], None] = lambda _: None,
    on_hangup: Callable[[], bool] = lambda: False,
) -> int | Stopped:
    """Run the work to its end, or until SIGINT, SIGTERM or SIGHUP cancels it; a second signal ends the process at once.

    ``on_hangup``: whether SIGHUP meant something else. Returns what the work returned, or Stopped. Errors of the work come out as they are.
    """
    return anyio.run(_supervised, work, on_stop, on_hangup)


async def _supervised(
    work: Callable[[], Awaitable[int]], on_stop: Callable[[signal.Signals], None], on_hangup: Callable[[], bool]
) -> int | Stopped:
    result: int | Stopped = 0

    async def watch(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        nonlocal result
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number is signal.SIGHUP and not isinstance(result, Stopped) and on_hangup():
                    continue
                if isinstance(result, Stopped):
                    os._exit(result.exit_code)
                result = Stopped(number)
                _end_after(GRACE, result.exit_code)
                on_stop(number)
                scope.cancel()

    async with anyio.create_task_group() as outer:
        with anyio.CancelScope() as scope:
            await outer.start(watch, scope)
            code = await work()
            if not isinstance(result, Stopped):
                result = code
        outer.cancel_scope.cancel()
    return result


def _end_after(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()

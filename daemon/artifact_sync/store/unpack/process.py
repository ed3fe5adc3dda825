"""Unpack an archive in a process of its own, whole or not at all.

The process has bounds of memory, processor time, file size and open files, none of the daemon's environment, and no
descriptors but the archive and the one directory. It can crash or be killed at any moment: what it wrote is removed then.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

from anyio import BrokenResourceError, CancelScope, ClosedResourceError, move_on_after, open_process, to_thread
from anyio.abc import Process

from artifact_sync.core.unpacking import Rejected, Rule, Unpacked, UnpackLimits
from artifact_sync.errors import DoesNotFit, StoreError
from artifact_sync.store.disk import disk_errors
from artifact_sync.store.paths import directory, opened
from artifact_sync.store.publish import remove
from artifact_sync.store.unpack.account import Account, lines
from artifact_sync.store.unpack.wire import Order, encode

__all__ = ["unpack"]

_WORKER = "artifact_sync.store.unpack.worker"
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
_DEFAULT = UnpackLimits()

Progress = Callable[[int], None]


async def unpack(
    archive: Path,
    into: Path,
    *,
    available: int,
    mode: int = 0o644,
    limits: UnpackLimits = _DEFAULT,
    on_progress: Progress | None = None,
) -> Unpacked | Rejected:
    """Unpack the file ``archive`` into the new directory ``into``, whose parent is there; what stands there is removed first.

    After Unpacked all of it is durable; otherwise, also after an error and when cancelled, nothing is left. ``available`` bytes
    may be written. ``on_progress`` learns how many packed bytes are done. Files get ``mode``; where their owner may execute
    them, everybody may who may read them. Links are not made.

    Raises DoesNotFit for more than ``available``, NoSpace, StoreDamaged, StoreError.
    """
    kept = False
    with disk_errors(f"unpacking {archive.name}"):
        try:
            with ExitStack() as stack:
                source, root = await to_thread.run_sync(_enter, stack, archive, into)
                order = Order(archive=source, root=root, limits=limits, available=available, mode=mode)
                verdict = await _carried_out(order, archive.name, on_progress)
            if isinstance(verdict, Rejected):
                return _rejected(verdict, archive.name)
            await to_thread.run_sync(_make_durable, into)
            kept = True
            return verdict
        finally:
            if not kept:
                with CancelScope(shield=True):
                    await to_thread.run_sync(_clear, into)


async def _carried_out(order: Order, name: str, on_progress: Progress | None) -> Unpacked | Rejected:
    with move_on_after(order.limits.wall_time):
        async with _worker((order.archive, order.root)) as process:
            verdict = await _followed(process, order, name, on_progress)
            return verdict or _ended(await process.wait(), order.limits, name)
    return Rejected(rule=Rule.TIME, reason=f"it was not unpacked within {order.limits.wall_time} s")


@asynccontextmanager
async def _worker(descriptors: Sequence[int]) -> AsyncIterator[Process]:
    """The process; it is gone at the end, whatever happens."""
    # A session of its own: Ctrl-C in a terminal is for the daemon, which ends its processes itself.
    process = await open_process(
        [sys.executable, "-I", "-m", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        pass_fds=descriptors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # SIGKILL works on a stopped process too, and one that a disk holds on to ends when the disk answers.
        with CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.kill()
            await process.aclose()


async def _followed(
    process: Process, order: Order, name: str, on_progress: Progress | None
) -> Unpacked | Rejected | None:
    """The verdict, or None when the process ended without one. Raises OSError, StoreError."""
    account = Account(name, on_progress)
    stdin, stdout = process.stdin, process.stdout
    assert stdin and stdout  # noqa: S101, PT018 - both are pipes
    # A process that dies before it reads says why by its exit.
    with suppress(BrokenResourceError, ClosedResourceError):
        await stdin.send(encode(order))
    async for line in lines(stdout, name):
        verdict = account.take(line)
        if verdict is not None:
            return verdict
    return None


def _ended(code: int, limits: UnpackLimits, name: str) -> Rejected:
    if code == -signal.SIGXCPU:
        return Rejected(rule=Rule.TIME, reason=f"unpacking took more than {limits.cpu_time} s of processor time")
    if -code in _CRASHES:
        return Rejected(rule=Rule.CRASH, reason=f"the process that unpacked it crashed ({signal.Signals(-code).name})")
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with code {code}"
    raise StoreError(
        f"unpacking {name}: the process {how}",
        hint="The machine may be short of memory, or somebody ended it; the next attempt unpacks the archive again.",
    )


def _rejected(verdict: Rejected, name: str) -> Rejected:
    if verdict.rule is Rule.SPACE:
        raise DoesNotFit(
            f"unpacking {name}: {verdict.reason}",
            hint="Free some space on the store's disk, or lower store.min_free; it is unpacked then.",
        )
    return verdict


def _enter(stack: ExitStack, archive: Path, into: Path) -> tuple[int, int]:
    source = stack.enter_context(opened(str(archive), at=None))
    with opened(str(into.parent), at=None, flags=os.O_RDONLY | os.O_DIRECTORY) as parent:
        remove(into.name, at=parent)
        os.mkdir(into.name, 0o700, dir_fd=parent)
        return source, stack.enter_context(directory(parent, (into.name,)))


def _make_durable(into: Path) -> None:
    with opened(str(into.parent), at=None, flags=os.O_RDONLY | os.O_DIRECTORY) as parent:
        os.fsync(parent)


def _clear(into: Path) -> None:
    # What cannot be removed now is removed by the next attempt, or swept at the next start.
    with suppress(OSError), opened(str(into.parent), at=None, flags=os.O_RDONLY | os.O_DIRECTORY) as parent:
        remove(into.name, at=parent)

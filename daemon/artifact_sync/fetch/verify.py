"""Prove a received archive in a worker thread, so that the event loop never waits for it.

A small one that is in memory is proved at once, for a hop into a thread takes longer than that; where it takes unexpectedly
long, a thread does it after all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event
from typing import BinaryIO, TypeVar

import anyio
from anyio import to_thread

from artifact_sync.core.archive_arriving import Arriving
from artifact_sync.errors import Corrupt, StoreDamaged
from artifact_sync.fetch.inflate import ArchiveReport, Stopped, prove, prove_gzip
from artifact_sync.ports import Part

__all__ = ["reading", "verify_archive", "verify_gzip"]

T = TypeVar("T")

#: Bytes of a small archive, whose directory is no more than some hundred entries; and how many seconds the loop waits for it.
_SMALL, _AT_ONCE = 32 << 10, 0.002


async def verify_archive(
    part: Part, *, limiter: anyio.CapacityLimiter, arrived: Arriving | None = None
) -> ArchiveReport:
    """Structure, sizes and CRCs of the archive in ``part``. ``arrived`` was shown all of it, and is shown no more.

    When it is cancelled the thread ends within a block. Raises NotAnArchive, Corrupt, StoreDamaged.
    """
    part.watch = None
    if part.in_memory and part.size <= _SMALL:
        until = time.monotonic() + _AT_ONCE
        with suppress(Stopped):
            return _prove(prove, part, lambda: time.monotonic() > until)
    return await _in_thread(partial(prove, arrived=arrived), part, limiter)


async def verify_gzip(part: Part, *, limiter: anyio.CapacityLimiter) -> bool:
    """As ``verify_archive``, for gzip data; whether all of it was inflated (``prove_gzip``). Raises Corrupt, StoreDamaged."""
    return await _in_thread(prove_gzip, part, limiter)


async def _in_thread(
    proof: Callable[[BinaryIO, int, Callable[[], bool]], T], part: Part, limiter: anyio.CapacityLimiter
) -> T:
    stop = Event()
    try:
        return await to_thread.run_sync(_prove, proof, part, stop.is_set, abandon_on_cancel=True, limiter=limiter)
    finally:
        stop.set()


def _prove(proof: Callable[[BinaryIO, int, Callable[[], bool]], T], part: Part, stopped: Callable[[], bool]) -> T:
    try:
        with reading(part), part.reader() as file:
            return proof(file, part.size, stopped)
    except Corrupt as error:
        error.hint = error.hint or "These are not the bytes the job uploaded; the next attempt downloads them again."
        raise


@contextmanager
def reading(part: Part) -> Iterator[None]:
    """Make StoreDamaged of a disk's refusal to read the part back."""
    try:
        yield
    except OSError as error:
        raise StoreDamaged(
            f"reading {part.name} back from the store's staging failed: {error.strerror or error}",
            hint="The store's disk refuses to read; check it and its file system.",
        ) from error

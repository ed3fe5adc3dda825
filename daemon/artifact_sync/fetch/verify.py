"""Prove a received archive in a worker thread, so that the event loop never waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import BinaryIO, TypeVar

import anyio
from anyio import to_thread

from artifact_sync.errors import Corrupt, StoreDamaged
from artifact_sync.fetch.inflate import ArchiveReport, prove, prove_gzip
from artifact_sync.ports import Part

__all__ = ["reading", "verify_archive", "verify_gzip"]

T = TypeVar("T")


async def verify_archive(part: Part, *, limiter: anyio.CapacityLimiter) -> ArchiveReport:
    """Structure, sizes and CRCs of the archive in ``part``.

    When it is cancelled the thread ends within a block. Raises NotAnArchive, Corrupt, StoreDamaged.
    """
    return await _in_thread(prove, part, limiter)


async def verify_gzip(part: Part, *, limiter: anyio.CapacityLimiter) -> bool:
    """As ``verify_archive``, for gzip data; whether all of it was inflated (``prove_gzip``). Raises Corrupt, StoreDamaged."""
    return await _in_thread(prove_gzip, part, limiter)


async def _in_thread(
    proof: Callable[[BinaryIO, int, Callable[[], bool]], T], part: Part, limiter: anyio.CapacityLimiter
) -> T:
    stop = Event()
    try:
        return await to_thread.run_sync(_prove, proof, part, stop, abandon_on_cancel=True, limiter=limiter)
    finally:
        stop.set()


def _prove(proof: Callable[[BinaryIO, int, Callable[[], bool]], T], part: Part, stop: Event) -> T:
    try:
        with reading(part), part.reader() as file:
            return proof(file, part.size, stop.is_set)
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

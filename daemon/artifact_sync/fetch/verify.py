"""Prove a received archive in a worker thread, so that the event loop never waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import anyio
from anyio import to_thread

from artifact_sync.errors import Corrupt, StoreDamaged
from artifact_sync.fetch.inflate import ArchiveReport, prove
from artifact_sync.ports import Part

__all__ = ["reading", "verify_archive"]


async def verify_archive(part: Part, *, limiter: anyio.CapacityLimiter) -> ArchiveReport:
    """Structure, sizes and CRCs of the archive in ``part``.

    When it is cancelled the thread ends within a block. Raises NotAnArchive, Corrupt, StoreDamaged.
    """
    stop = Event()
    try:
        return await to_thread.run_sync(_prove, part, stop, abandon_on_cancel=True, limiter=limiter)
    finally:
        stop.set()


def _prove(part: Part, stop: Event) -> ArchiveReport:
    try:
        with reading(part), part.reader() as file:
            return prove(file, part.size, stop.is_set)
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

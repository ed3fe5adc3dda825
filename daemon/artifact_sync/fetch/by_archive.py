"""Files out of a whole archive in staging: the one that is published as well, or one that is fetched for them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import BinaryIO, TypeVar

from anyio import CapacityLimiter, to_thread

from artifact_sync.core.archive_end import TAIL, locate
from artifact_sync.core.model import Item
from artifact_sync.core.selection import Selection, select
from artifact_sync.core.ways import Choice
from artifact_sync.core.zip_ranges import Extent, extents
from artifact_sync.errors import Corrupt, NotFound
from artifact_sync.fetch.errand import Errand
from artifact_sync.fetch.members import bring, unreadable
from artifact_sync.fetch.missing import explain_missing
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.fetch.verify import reading
from artifact_sync.ports import Part

__all__ = ["by_archive", "by_held"]

T = TypeVar("T")


async def by_archive(receiver: Receiver, errand: Errand, choice: Choice) -> None:
    """Receive the archive, with everything that proves it, take the files out of it and remove it.

    Nothing bounds it but the disk: ``max_size`` is of what is published. Raises as ``Fetcher.fetch``.
    """
    queued, item = errand.queued, errand.archive
    errand.chose(choice, requests=1, size=item.size)
    async with receiver.opened(queued, item, name="archive") as into:
        try:
            staged = await receiver.download(queued, item, into, errand.report, max_size=None)
        except NotFound as error:
            now = receiver.clock.now()
            raise await explain_missing(receiver.remote, queued.transfer, item, error, now=now) from error
        await into.remember_whole()
        await _take_out(receiver, errand, into.part, source=staged.source)
        await into.part.discard()


async def by_held(receiver: Receiver, errand: Errand, choice: Choice, *, held: Part, source: str) -> None:
    """Take the files out of a proved archive. Raises as ``Fetcher.fetch``."""
    errand.chose(choice, requests=0, size=0)
    await _take_out(receiver, errand, held, source=source)


async def _take_out(receiver: Receiver, errand: Errand, part: Part, *, source: str) -> None:
    selection = await to_thread.run_sync(
        _selected, part, errand.items, abandon_on_cancel=True, limiter=receiver.verifiers
    )
    chosen = errand.agreed(selection)
    for one in chosen:
        if why := unreadable(one.listed):
            raise Corrupt(why, hint="Fetch the archive itself, or let fetch.files exclude this file.")
    async with _PartReader.opened(part, receiver.verifiers) as reader:
        for one in chosen:
            await bring(receiver, errand, one, reader, source=source)


def _selected(part: Part, items: tuple[Item, ...]) -> Selection[Extent]:
    if not part.size:
        return select(items, (), entry=lambda extent: extent.member)
    with reading(part), part.reader() as file:
        file.seek(max(0, part.size - TAIL))
        end = locate(file.read(TAIL), part.size)
        file.seek(end.directory_offset)
        directory = file.read(end.directory_size)
    return select(items, extents(directory, end), entry=lambda extent: extent.member)


class _PartReader:
    """Implements ``members.Reader`` on a part, each read in a worker thread."""

    def __init__(self, part: Part, file: BinaryIO, limiter: CapacityLimiter) -> None:
        self.position = 0
        self._part = part
        self._file = file
        self._limiter = limiter

    @classmethod
    @asynccontextmanager
    async def opened(cls, part: Part, limiter: CapacityLimiter) -> AsyncIterator[_PartReader]:
        """Raises StoreDamaged."""
        file = await to_thread.run_sync(part.reader, limiter=limiter)
        try:
            yield cls(part, file, limiter)
        finally:
            file.close()

    async def go_to(self, offset: int) -> None:
        """Raises StoreDamaged."""
        await self._run(partial(self._file.seek, offset))
        self.position = offset

    async def take(self, size: int) -> bytes:
        """Raises StoreDamaged, and Corrupt at the file's end."""
        block = await self._run(partial(self._file.read, size))
        if len(block) < size:
            raise Corrupt(f"the archive ends {size - len(block)} bytes too early")
        self.position += size
        return block

    async def some(self, most: int) -> bytes:
        """Raises as ``take``."""
        return await self.take(most)

    async def _run(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with reading(self._part):
                return work()

        return await to_thread.run_sync(guarded, limiter=self._limiter)

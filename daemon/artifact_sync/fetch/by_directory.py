"""Files by ranges of the archive: its end, its directory, and then the wanted members alone.

All ranges are of one entity, known by a validator that every answer must repeat; where a server gives none, or another
answer, the archive is read as a whole. What comes is compared with the directory to the last bit, so that even two
archives under one validator cannot be taken for one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from anyio import to_thread

from artifact_sync.core.archive_end import TAIL, End
from artifact_sync.core.model import Item
from artifact_sync.core.selection import Selection, select
from artifact_sync.core.ways import Choice, dearer_than_archive
from artifact_sync.core.zip_ranges import FIRST_TAIL, Extent, extents, located, ranges
from artifact_sync.errors import Corrupt, NotFound, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.errand import Closed, Errand
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.members import bring, unreadable
from artifact_sync.fetch.missing import explain_missing
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.fetch.stream import closing
from artifact_sync.ports import Piece, Pin, Remote, Source

__all__ = ["by_directory"]

_CHANGED = "the archive changed meanwhile, or the server does not give the ranges of it that it is asked for"
_LOOSE = "the server gives no validator by which ranges could be known to belong together"


async def by_directory(receiver: Receiver, errand: Errand, choice: Choice) -> None:
    """Raises Closed, and as ``Fetcher.fetch``."""
    transfer = errand.queued.transfer
    try:
        archive = await _opened(receiver, errand)
        selection = await to_thread.run_sync(
            _selected, archive, errand.items, abandon_on_cancel=True, limiter=receiver.verifiers
        )
    except Corrupt as error:
        raise Closed(str(error), whole=True) from error
    except NotFound as error:
        raise await explain_missing(
            receiver.remote, transfer, errand.archive, error, now=receiver.clock.now()
        ) from error
    chosen = errand.agreed(selection)
    why = next((why for one in chosen if (why := unreadable(one.listed))), "")
    if why:
        raise Closed(why)
    plan = ranges([one.listed for one in chosen])
    size = sum(each.size for each in plan)
    if dearer_than_archive(requests=len(plan), size=size, archive=archive.total):
        whole = f"{len(plan)} ranges of {size} bytes in all cost more than the archive of {archive.total} bytes"
        raise Closed(whole, whole=True)
    errand.chose(choice, requests=len(plan), size=size)
    coming = iter(chosen)
    try:
        for each in plan:
            async with archive.reader(each.start, each.stop) as reader:
                for _ in each.extents:
                    await bring(receiver, errand, next(coming), reader, source=archive.source)
    except Corrupt as error:
        raise Closed(str(error), whole=True) from error
    except NotFound as error:
        raise await explain_missing(
            receiver.remote, transfer, errand.archive, error, now=receiver.clock.now()
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """An archive of ``total`` bytes, of which the end is here."""

    remote: Remote
    place: Source
    line: Line
    resumes: int
    total: int
    pin: Pin | None
    source: str
    directory: bytes = b""
    end: End | None = None

    async def read(self, start: int, stop: int) -> bytes:
        """A range that is not large. Raises Corrupt when it cannot be had."""
        found = bytearray()
        async with aclosing(self._chunks(start, stop)) as chunks:
            async for chunk in chunks:
                found += chunk
        return bytes(found)

    @asynccontextmanager
    async def reader(self, start: int, stop: int) -> AsyncIterator[_RangeReader]:
        """A range of any size, asked for when the first byte is read."""
        async with aclosing(self._chunks(start, stop)) as chunks:
            yield _RangeReader(chunks, start)

    async def _chunks(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """As the bytes arrive; a broken connection that had brought something is taken up again where it broke."""
        if self.pin is None:
            raise Corrupt(_LOOSE)
        resumes = 0
        at = start
        while at < stop:
            begun = at
            try:
                async with aclosing(self._connection(at, stop)) as chunks:
                    async for chunk in chunks:
                        at += len(chunk)
                        yield chunk
            except Transient:
                if at == begun or resumes == self.resumes:
                    raise
                resumes += 1

    async def _connection(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        async with self.remote.open_range(self.place, start=start, stop=stop, pin=self.pin) as piece:
            if piece is None:
                raise Corrupt(_CHANGED)
            async with aclosing(_exactly(piece, self.line)) as chunks:
                async for chunk in chunks:
                    yield chunk


async def _exactly(piece: Piece, line: Line) -> AsyncGenerator[bytes, None]:
    """The chunks of a piece. Raises Transient for too few bytes, Corrupt before too many: not all answers tell how many."""
    left = piece.size
    async with closing(line.limited(piece).chunks()) as chunks:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise Corrupt(f"a range of {piece.size} bytes is answered with more")
            yield chunk
    if left:
        raise Transient(f"GET {address(piece.source)}", f"{piece.size - left} bytes of {piece.size} came")


async def _opened(receiver: Receiver, errand: Errand) -> _Archive:
    """Raises Closed, Corrupt."""
    place = errand.source
    async with receiver.remote.open_range(place, start=-FIRST_TAIL) as piece:
        if piece is None:
            raise Closed("the server sends no ranges of archives")
        async with aclosing(_exactly(piece, errand.line)) as chunks:
            tail = b"".join([chunk async for chunk in chunks])
        total = piece.offset + piece.size
        archive = _Archive(
            remote=receiver.remote,
            place=place,
            line=errand.line,
            resumes=receiver.policy.resumes,
            total=total,
            pin=piece.pin,
            source=piece.source,
        )
    Bounds(announced=place.item.size, max_size=None).check_whole(total)
    end = located(tail, total)
    if end is None:
        tail = await archive.read(max(0, total - TAIL), total - len(tail)) + tail
        end = located(tail, total)
    assert end is not None  # noqa: S101 - with TAIL bytes it is found or an error
    known = total - len(tail)
    before = await archive.read(end.directory_offset, known) if end.directory_offset < known else b""
    directory = before + tail[max(0, end.directory_offset - known) :]
    return replace(archive, directory=directory[: end.directory_size], end=end)


def _selected(archive: _Archive, items: tuple[Item, ...]) -> Selection[Extent]:
    assert archive.end is not None  # noqa: S101 - _opened sets it
    return select(items, extents(archive.directory, archive.end), entry=lambda extent: extent.member)


class _RangeReader:
    """Implements ``members.Reader`` on the chunks of one range."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], start: int) -> None:
        self.position = start
        self._chunks = chunks
        self._held = b""

    async def go_to(self, offset: int) -> None:
        """Throws away what lies between."""
        while self.position < offset:
            await self.some(offset - self.position)

    async def take(self, size: int) -> bytes:
        """Raises Corrupt at the range's end."""
        parts = []
        while size:
            parts.append(await self.some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    async def some(self, most: int) -> bytes:
        """Raises as ``take``."""
        while not self._held:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise Corrupt(f"the range ends at byte {self.position}, inside a member")
            self._held = chunk
        found, self._held = self._held[:most], self._held[most:]
        self.position += len(found)
        return found

"""Members of a zip archive as they are read, from a range of it or from a file, with bounded memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from anyio import to_thread

from artifact_sync.core.archive_inflate import Unpacking
from artifact_sync.core.archive_local import DESCRIPTOR, HEADER, check_name, descriptor_length, lengths
from artifact_sync.core.model import Item
from artifact_sync.core.selection import Chosen
from artifact_sync.core.zip_ranges import Extent
from artifact_sync.errors import Corrupt
from artifact_sync.fetch.errand import Errand
from artifact_sync.fetch.receiver import Receiver

__all__ = ["MemberBody", "Reader", "bring", "unreadable"]

_READ = 256 * 1024


class Reader(Protocol):
    """An archive, or a range of it, read forwards."""

    @property
    def position(self) -> int:
        """The byte of the archive that comes next."""

    async def go_to(self, offset: int) -> None:
        """Go on at a later byte."""

    async def take(self, size: int) -> bytes:
        """Exactly so many bytes. Raises Corrupt where there are fewer."""

    async def some(self, most: int) -> bytes:
        """At least one byte and at most ``most``. Raises Corrupt where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBody:
    """A member's content as ports.Body has it."""

    reader: Reader
    extent: Extent
    source: str
    offset: int = 0
    etag: str | None = None
    content_type: str = ""

    @property
    def total(self) -> int:
        """As the directory says."""
        return self.extent.member.size

    async def chunks(self) -> AsyncIterator[bytes]:
        """Unpacked, at most 256 KiB each. Raises Corrupt, at the latest at the end: header, size, CRC, descriptor."""
        reader, member = self.reader, self.extent.member
        await reader.go_to(self.extent.start)
        name_length, extra_length = lengths(await reader.take(HEADER), member)
        check_name(await reader.take(name_length), member)
        await reader.take(extra_length)
        left = member.compressed_size
        if reader.position + left > self.extent.stop:
            raise Corrupt(f"member {member.name!r} at {self.extent.start} shares bytes with what is behind it")
        unpacking = Unpacking(member)
        while left:
            block = await reader.some(min(left, _READ))
            left -= len(block)
            async with aclosing(_off_loop(unpacking.feed(block))) as pieces:
                async for piece in pieces:
                    yield piece
        async with aclosing(_off_loop(unpacking.end())) as pieces:
            async for piece in pieces:
                yield piece
        if member.has_descriptor:
            behind = await reader.take(min(DESCRIPTOR, self.extent.stop - reader.position))
            descriptor_length(behind, member)


async def _off_loop(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    while (piece := await to_thread.run_sync(next, pieces, None)) is not None:
        yield piece


def unreadable(extent: Extent) -> str:
    """Why this member cannot be unpacked here; empty where it can."""
    member = extent.member
    if member.testable:
        return ""
    return f"member {member.name!r} is encrypted or packed by method {member.method}, which is not unpacked here"


async def bring(receiver: Receiver, errand: Errand, chosen: Chosen[Extent], reader: Reader, *, source: str) -> None:
    """One member into a part of its own. Raises Corrupt, and as ``Receiver.unpack``."""
    item = Item(kind="file", name=chosen.name, path=chosen.path, size=chosen.size)
    name = f"member{len(errand.haul.files)}"
    body = MemberBody(reader=reader, extent=chosen.listed, source=source)
    async with receiver.opened(errand.queued, item, name=name) as into:
        staged = await receiver.unpack(item, body, into, errand.report, clock=errand.line)
    errand.haul.add(staged, into)
    errand.report.item_ended(staged.size)

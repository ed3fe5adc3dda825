"""What a download survives: a part that can be taken up again, and the rules for doing so.

A part is continued only while it is certain that the rest belongs to the same entity: a strong ETag and the full size are
remembered with it, the range is asked for under If-Range (RFC 9110 section 13.1.5), and any answer but exactly that range
starts over. What is not certain is downloaded again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
import structlog

from artifact_sync.core.archive_arriving import Arriving
from artifact_sync.core.model import Item
from artifact_sync.errors import ArtifactSyncError, ContentError, NotFound
from artifact_sync.fetch.echo import etag_to_keep
from artifact_sync.ports import Body, Part, PartRecord, PartRecords, Parts
from artifact_sync.ports.steps import waiting

__all__ = ["Entity", "ResumablePart", "opened"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What the bytes of a part are bytes of: a strong ETag and a size in bytes."""

    etag: str
    total: int

    @classmethod
    def of(cls, body: Body, item: Item) -> Entity | None:
        """The entity of this answer; None when it could not be continued.

        Single files never are: GitLab unpacks them while sending and ignores Range (workhorse
        internal/artifacts/entry.go). A log may grow.
        """
        if item.kind != "archive" or body.etag is None or body.total is None:
            return None
        return cls(etag=body.etag, total=body.total)


class ResumablePart:
    """A part, with what is remembered of it in the state. One download uses it."""

    def __init__(
        self, part: Part, state: PartRecords, *, transfer_id: int, item: Item, record: PartRecord | None
    ) -> None:
        #: Written through ``append`` and closed by ``finish``, ``settle`` or ``abandon``.
        self.part = part
        #: What the bytes belong to; None: they cannot be continued.
        self.entity = Entity(etag=record.etag, total=record.total) if record and part.size else None
        #: Was shown every byte of a zip; None for anything else, and for one that was taken up again.
        self.arrived: Arriving | None = None
        self._state = state
        self._transfer_id = transfer_id
        self._item = item
        self._remembered = record is not None
        self._durable = part.size
        self._sound = True
        self._finished = False

    @property
    def lasting(self) -> bool:
        """Whether the part can be continued after this connection's end by another attempt: its ETag may be written down."""
        return self.entity is not None and etag_to_keep(self.entity.etag) is not None

    @property
    def unsaved(self) -> int:
        """Bytes that a crash would cost."""
        return self.part.size - self._durable

    async def start_over(self, entity: Entity | None) -> None:
        """Forget the bytes, and first that they could be continued; what comes now belongs to ``entity``."""
        self.entity = None
        if self._remembered:
            await self._remember(0)
        if self.part.size:
            await self.part.restart()
        self._durable = 0
        self.entity = entity
        self.arrived = Arriving() if self._item.kind == "archive" or self._item.file_format == "zip" else None
        self.part.watch = self.arrived.update if self.arrived else None

    @property
    def size(self) -> int:
        """Bytes from the start on, without a gap."""
        return self.part.size

    async def append(self, *batch: bytes) -> None:
        """As ``Part.append``."""
        with self._in_doubt():
            await self.part.append(*batch)

    async def place(self, offset: int, *batch: bytes) -> None:
        """As ``Part.place``."""
        with self._in_doubt():
            await self.part.place(offset, *batch)

    async def adopt(self, size: int) -> None:
        """As ``Part.adopt``."""
        with self._in_doubt():
            await self.part.adopt(size)

    async def save(self) -> None:
        """Make what was written durable and remember it. Only for a ``lasting`` part."""
        with self._in_doubt():
            self._durable = await self.part.checkpoint()
        await self._remember(self._durable)

    async def finish(self) -> tuple[str, int]:
        """As ``Part.finish``: (sha256 in hex, size)."""
        with self._in_doubt(), waiting():
            digest, size = await self.part.finish()
        self._finished = True
        return digest, size

    async def remember_whole(self) -> None:
        """After ``finish``: let another attempt of the same transfer use the part."""
        if self.lasting:
            await self._remember(self.part.size)

    async def abandon(self, error: BaseException) -> None:
        """After ``finish``, when a later item of the transfer failed: remove the part unless it can be used again."""
        final = isinstance(error, ArtifactSyncError) and error.outcome.final
        if final or not self.lasting:
            await self.part.discard()

    async def settle(self, error: BaseException) -> None:
        """After a failure or a stop: leave a part that can be continued, or none."""
        useless = isinstance(error, ContentError | NotFound) or not self.lasting or not self.part.size
        if useless or not self._sound:
            await self.part.discard()
            return
        if self._finished:
            return
        try:
            if self.unsaved:
                await self.save()
            await self.part.close()
        except ArtifactSyncError as trouble:
            log.warning("part.lost", part=self.part.name, error=str(trouble))
            await self.part.discard()

    @contextmanager
    def _in_doubt(self) -> Iterator[None]:
        """A part whose disk failed once is not written or fsynced again: the kernel may call lost pages clean."""
        try:
            yield
        except ArtifactSyncError:
            self._sound = False
            raise

    async def _remember(self, size: int) -> None:
        entity = self.entity or Entity(etag="", total=0)
        record = PartRecord(
            transfer_id=self._transfer_id, item=self._item.name, size=size, etag=entity.etag, total=entity.total
        )
        await self._state.save_part(record)
        self._remembered = size > 0


@asynccontextmanager
async def opened(
    store: Parts, state: PartRecords, transfer_id: int, item: Item, *, name: str, grace: float
) -> AsyncIterator[ResumablePart]:
    """The item's part, continued where an earlier attempt left a durable prefix of it.

    Whatever ends the block early, the part is then resumable or gone. A stop (cancellation) waits for that, but no longer
    than ``grace`` seconds. Raises NoSpace, StoreDamaged, StateError.
    """
    record = await state.part_record(transfer_id, item.name)
    if record is not None and not (record.etag and 0 < record.size <= record.total):
        record = None
    # The last byte is always asked for again: a range must not be empty, and the answer shows that it is the same entity.
    keep = min(record.size, record.total - 1) if record else 0
    # What is kept is hashed again.
    with waiting():
        part = await store.part(name, keep=keep, expected=item.size)
    resumable = ResumablePart(part, state, transfer_id=transfer_id, item=item, record=record)
    try:
        yield resumable
    except BaseException as error:
        stopping = not isinstance(error, ArtifactSyncError)
        with anyio.move_on_after(grace if stopping else None, shield=True):
            await resumable.settle(error)
        raise

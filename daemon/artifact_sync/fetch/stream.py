"""The receiving loop: network to part, one batch being written while the next one arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from artifact_sync.errors import ArtifactSyncError, Corrupt, TooLarge, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.rate import RateFloor
from artifact_sync.fetch.resume import ResumablePart
from artifact_sync.fetch.sniff import HEAD
from artifact_sync.fetch.space import Claim
from artifact_sync.ports import Body, Clock

__all__ = ["Reception", "closing"]


@asynccontextmanager
async def closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The chunks, at an end when the block ends."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


@dataclass(slots=True, kw_only=True)
class Reception:
    """Brings one body into one part. Used once."""

    body: Body
    into: ResumablePart
    clock: Clock
    policy: FetchPolicy
    claim: Claim
    bounds: Bounds
    #: Judges the first bytes before any is written; None: they were judged before.
    inspect: Callable[[bytes], None] | None
    #: Told how many bytes the part has, or will have in a moment.
    report: Callable[[int], None]
    _batch: list[bytes] = field(default_factory=list)
    _held: int = 0
    _failure: ArtifactSyncError | None = None

    async def run(self) -> None:
        """Receive to the end. What came before a broken connection is in the part when this raises.

        Raises Transient, Corrupt, NotAnArchive, TooLarge, NoSpace, StoreDamaged, StateError.
        """
        send, receive = anyio.create_memory_object_stream[bytes](0)
        async with anyio.create_task_group() as group, send:
            group.start_soon(self._write, receive, group.cancel_scope)
            try:
                await self._read(send)
            except ArtifactSyncError as error:
                self._failure = error
        # Kept until here: a task group would wrap it, and the writer had to finish first.
        if self._failure is not None:
            raise self._failure

    async def _read(self, send: ObjectSendStream[bytes]) -> None:
        received = free_checked = self.into.part.size
        floor = RateFloor(rate=self.policy.min_rate, window=self.policy.min_rate_window)
        try:
            async with aclosing(self._timed()) as chunks:
                async for chunk, waited in chunks:
                    received += len(chunk)
                    self._take(chunk, received)
                    await self.claim.receive(len(chunk))
                    self._require_rate(floor, len(chunk), waited)
                    if received - free_checked >= self.policy.free_check:
                        free_checked = received
                        await self.claim.check()
                    if self._held >= self.policy.batch:
                        await self._flush(send)
        except Transient:
            # Good bytes, though the connection was not: a resume need not bring them again.
            if self.inspect is None:
                await self._flush(send)
            raise
        self._look()
        await self._flush(send)

    async def _timed(self) -> AsyncGenerator[tuple[bytes, float], None]:
        """Each chunk with the seconds that the peer let us wait for it."""
        async with closing(self.body.chunks()) as chunks:
            asked = self.clock.monotonic()
            async for chunk in chunks:
                yield chunk, self.clock.monotonic() - asked
                asked = self.clock.monotonic()

    def _take(self, chunk: bytes, received: int) -> None:
        self._batch.append(chunk)
        self._held += len(chunk)
        if self._held >= HEAD:
            self._look()
        try:
            self.bounds.check(received)
        except (Corrupt, TooLarge):
            # A login page longer than a small archive is a login page first of all.
            self._look()
            raise
        self.report(received)

    def _look(self) -> None:
        """Judge the first bytes, once."""
        if self.inspect is not None:
            self.inspect(b"".join(self._batch)[:HEAD])
            self.inspect = None

    def _require_rate(self, floor: RateFloor, size: int, waited: float) -> None:
        if floor.received(size, waited):
            raise Transient(
                f"GET {address(self.body.source)}",
                f"less than {self.policy.min_rate} bytes a second for {self.policy.min_rate_window:.0f} s",
                hint="The server or the way to it is very slow; downloads.min_rate says what is too slow.",
            )

    async def _flush(self, send: ObjectSendStream[bytes]) -> None:
        """Hand the batch to the writer, as soon as it has written the one before."""
        if self._batch:
            batch = b"".join(self._batch)
            self._batch.clear()
            self._held = 0
            await send.send(batch)

    async def _write(self, batches: ObjectReceiveStream[bytes], scope: anyio.CancelScope) -> None:
        async with batches:
            try:
                async for batch in batches:
                    await self.into.append(batch)
                    self.claim.written(len(batch))
                    if self.into.lasting and self.into.unsaved >= self.policy.checkpoint:
                        await self.into.save()
            except ArtifactSyncError as error:
                self._failure = error
                scope.cancel()

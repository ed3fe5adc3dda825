"""The receiving loop: network to part, one batch being written while the next one arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from artifact_sync.errors import ArtifactSyncError, Corrupt, TooLarge, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.checkpoints import Checkpoints, Saved
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.failures import FirstFailure
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.rate import RateFloor
from artifact_sync.fetch.sniff import HEAD
from artifact_sync.fetch.space import Claim
from artifact_sync.ports import Body, Clock

__all__ = ["Reception", "Sink", "closing"]


class Sink(Saved, Protocol):
    """Where a body's bytes go."""

    @property
    def size(self) -> int:
        """Where in the whole file the next byte goes."""

    async def append(self, *batch: bytes) -> None:
        """Write one batch of chunks."""


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
    into: Sink
    clock: Clock
    policy: FetchPolicy
    claim: Claim
    bounds: Bounds
    #: Judges the first bytes before any is written; None: they were judged before.
    inspect: Callable[[bytes], None] | None
    #: Told how many bytes the part has, or will have in a moment.
    report: Callable[[int], None]
    #: Asked after each chunk, with its size, the seconds it was waited for, and how much the part has: whether to stop here.
    leave: Callable[[int, float, int], Awaitable[bool]] | None = None
    _batch: list[bytes] = field(default_factory=list)
    _held: int = 0

    async def run(self) -> None:
        """Receive to the end. What came before a broken connection is in the part when this raises.

        Raises Transient, Corrupt, NotAnArchive, TooLarge, NoSpace, StoreDamaged, StateError.
        """
        send, receive = anyio.create_memory_object_stream[tuple[bytes, ...]](0)
        async with anyio.create_task_group() as group, send:
            failure = FirstFailure(group.cancel_scope)
            every = self.policy.checkpoint_of(self.body.total)
            checkpoints = Checkpoints(self.into, every=every, group=group, failure=failure)
            group.start_soon(self._write, receive, checkpoints, failure)
            try:
                await self._read(send)
            except ArtifactSyncError as error:
                failure.noted(error)
        failure.require_none()

    async def _read(self, send: ObjectSendStream[tuple[bytes, ...]]) -> None:
        received = free_checked = self.into.size
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
                    if self.leave and not self.inspect and await self.leave(len(chunk), waited, received):
                        break
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

    async def _flush(self, send: ObjectSendStream[tuple[bytes, ...]]) -> None:
        """Hand the batch to the writer, as soon as it has written the one before."""
        if self._batch:
            batch = tuple(self._batch)
            self._batch.clear()
            self._held = 0
            await send.send(batch)

    async def _write(
        self, batches: ObjectReceiveStream[tuple[bytes, ...]], checkpoints: Checkpoints, failure: FirstFailure
    ) -> None:
        async with batches:
            try:
                async for batch in batches:
                    await self.into.append(*batch)
                    self.claim.written(sum(map(len, batch)))
                    await checkpoints.grown()
            except ArtifactSyncError as error:
                failure.happened(error)

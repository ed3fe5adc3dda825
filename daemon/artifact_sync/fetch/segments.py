"""One large archive over several connections, each bringing one piece after another.

Pieces are given out in the order of the file and written where they belong. What is hashed, remembered as durable and
continued after a crash is the prefix without a gap, exactly as with one connection. All pieces are exact ranges of one entity
under one strong ETag; the first thing that is not ends the parallelism, and what came stays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

import anyio
import structlog

from artifact_sync.core.pieces import furthest
from artifact_sync.errors import ArtifactSyncError, Corrupt, RemoteError, Transient
from artifact_sync.fetch.bottleneck import Bottleneck
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.checkpoints import Checkpoints
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.failures import FirstFailure
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.resume import Entity, ResumablePart
from artifact_sync.fetch.space import Claim
from artifact_sync.fetch.spans import Span, Spans
from artifact_sync.fetch.stream import Reception
from artifact_sync.ports import Clock, Piece, Pin, Remote, Source

__all__ = ["Segments"]

log = structlog.get_logger()

#: Read back and hashed in one turn; other connections' batches wait meanwhile.
_TURN = 8 << 20
#: Connections that are being opened while the others bring bytes, so that a round trip costs nothing.
_OPENING = 1


@dataclass(slots=True, kw_only=True)
class Segments:
    """The parallel part of one download of ``entity``, which has a first connection already. Used once."""

    remote: Remote
    clock: Clock
    policy: FetchPolicy
    source: Source
    entity: Entity
    into: ResumablePart
    claim: Claim
    #: The first connection's.
    line: Line
    #: Told how many bytes are here, wherever they lie.
    report: Callable[[int], None]
    _watch: Bottleneck = field(init=False)
    _spans: Spans = field(init=False)
    _first: tuple[Span, Piece] | None = None
    _connection: AsyncExitStack = field(default_factory=AsyncExitStack)
    #: Whether ``run`` was called.
    ran: bool = False
    _refused: bool = False
    _broken: int = 0
    _received: int = 0
    _free_checked: int = 0
    _turn: anyio.Lock = field(default_factory=anyio.Lock)
    _slots: anyio.CapacityLimiter = field(init=False)
    _moved: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        """Watch the first connection."""
        self._watch = Bottleneck(total=self.entity.total)
        self._slots = anyio.CapacityLimiter(self.policy.segments)

    async def begin(self, size: int, waited: float, received: int) -> bool:
        """Whether the first connection is to end at ``received``, because a second one is open. See Reception.leave."""
        if self._refused or not self._found(size, waited, received):
            return False
        self._spans = Spans(total=self.entity.total, begun=received, connections=self.policy.segments)
        span = self._spans.take()
        if span is None:
            return False
        try:
            piece = await self._connection.enter_async_context(self._open(span, further=True))
        except RemoteError as error:
            self._give_up(str(error))
            return False
        if piece is None:
            await self._connection.aclose()
            self._give_up("no such range was given")
            return False
        log.info("segments.begun", part=self.into.part.name, at=received, connections=self.policy.segments)
        self._first = (span, piece)
        return True

    def _found(self, size: int, waited: float, received: int) -> bool:
        now, line = self.clock.monotonic(), self.line
        return self._watch.found(now, size, waited, received, held=line.held, limit=line.limit)

    @property
    def begun(self) -> bool:
        """Whether there is something to run."""
        return self._first is not None

    async def aclose(self) -> None:
        """Close the connection that was opened first, if nobody used it."""
        await self._connection.aclose()

    async def run(self, replaced: AsyncExitStack) -> None:
        """Bring the rest, or as much of it as comes in ranges; the part has a longer prefix then, but perhaps not all.

        The connection ``replaced`` is closed first. Raises NoSpace, StoreDamaged, StateError, and what ``Reception`` raises about this side.
        """
        connection = self._connection.pop_all()
        await replaced.aclose()
        self._connection = connection
        self.ran = True
        self._received = self._free_checked = self.into.size
        async with anyio.create_task_group() as group:
            failure = FirstFailure(group.cancel_scope)
            every = self.policy.checkpoint_of(self.entity.total)
            checkpoints = Checkpoints(self.into, every=every, group=group, failure=failure)
            async with anyio.create_task_group() as workers:
                for _ in range(self.policy.segments + _OPENING):
                    workers.start_soon(self._work, checkpoints, failure)
            if not group.cancel_scope.cancel_called:
                await self._fill(checkpoints, failure)
        failure.require_none()

    async def _work(self, checkpoints: Checkpoints, failure: FirstFailure) -> None:
        try:
            while (span := await self._take()) is not None:
                try:
                    await self._bring(span, checkpoints, further=True)
                except (RemoteError, Corrupt) as error:
                    self._failed(span, error)
        except ArtifactSyncError as error:
            failure.happened(error)

    async def _fill(self, checkpoints: Checkpoints, failure: FirstFailure) -> None:
        """With one connection, bring what is missing before what is here already; then take all of that."""
        try:
            while self._spans.gaps and (span := self._spans.take()) is not None:
                await self._bring(span, checkpoints, further=False)
            await self._adopt(checkpoints)
        except (RemoteError, Corrupt) as error:
            log.info("segments.lost", part=self.into.part.name, at=self.into.size, why=str(error))
        except ArtifactSyncError as error:
            failure.happened(error)

    async def _take(self) -> Span | None:
        if self._first is not None:
            return self._first[0]
        while not self._refused:
            if self._spans.ahead - self.into.size <= furthest(self.entity.total, connections=self.policy.segments):
                return self._spans.take()
            await self._moved.wait()
        return None

    async def _bring(self, span: Span, checkpoints: Checkpoints, *, further: bool) -> None:
        async with AsyncExitStack() as connection:
            if self._first is not None:
                piece: Piece | None = self._first[1]
                self._first = None
                connection.push_async_exit(self._connection.pop_all())
            else:
                piece = await connection.enter_async_context(self._open(span, further=further))
            if piece is None:
                raise Corrupt("no such range was given")
            async with self._slots:
                line = self.line.beside()
                reception = Reception(
                    body=line.limited(piece),
                    into=_Placed(self, span, checkpoints),
                    clock=line,
                    policy=self.policy.for_segment(),
                    claim=self.claim,
                    bounds=Bounds(announced=span.stop, max_size=None),
                    inspect=None,
                    report=lambda _: None,
                )
                await reception.run()
            if span.at < span.stop:
                what = f"{span.at - span.start} bytes of {span.stop - span.start} came"
                raise Transient(f"GET {address(piece.source)}", what, hint="The connection ended early.")

    def _open(self, span: Span, *, further: bool) -> AbstractAsyncContextManager[Piece | None]:
        pin = Pin(total=self.entity.total, etag=self.entity.etag)
        return self.remote.open_range(self.source, start=span.start, stop=span.stop, pin=pin, further=further)

    def _failed(self, span: Span, error: ArtifactSyncError) -> None:
        """What broke after it had brought something is asked for again, a few times; anything else is a refusal."""
        brought = span.at > span.start
        self._spans.give_back(span)
        self._broken += 1
        if not (brought and isinstance(error, Transient)) or self._broken > self.policy.resumes:
            self._give_up(str(error))
        self._wake()

    def _give_up(self, why: str) -> None:
        if not self._refused:
            self._refused = True
            log.info("segments.given_up", part=self.into.part.name, why=why)

    def _wake(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()

    async def _adopt(self, checkpoints: Checkpoints) -> None:
        """Hash what follows the prefix without a gap."""
        while self._spans.contiguous(self.into.size) > self.into.size:
            async with self._turn:
                reach = self._spans.contiguous(self.into.size)
                await self.into.adopt(min(reach, self.into.size + _TURN))
                await checkpoints.grown()

    async def write(self, span: Span, batch: tuple[bytes, ...], checkpoints: Checkpoints) -> None:
        """Write a span's next bytes: at the end of the prefix they are hashed at once, else read back once they are."""
        size = sum(map(len, batch))
        async with self._turn:
            if span.at == self.into.size:
                await self.into.append(*batch)
            else:
                await self.into.place(span.at, *batch)
            span.at += size
            self._received += size
            await checkpoints.grown()
        self.report(self._received)
        if self._received - self._free_checked >= self.policy.free_check:
            self._free_checked = self._received
            await self.claim.check()
        await self._adopt(checkpoints)
        self._wake()


@dataclass(frozen=True, slots=True)
class _Placed:
    """Implements ``stream.Sink`` on one span."""

    segments: Segments
    span: Span
    checkpoints: Checkpoints
    #: Whoever writes for all of them sees to it.
    lasting: bool = False
    unsaved: int = 0

    @property
    def size(self) -> int:
        return self.span.at

    async def append(self, *batch: bytes) -> None:
        await self.segments.write(self.span, batch, self.checkpoints)

    async def save(self) -> None:
        """Nothing of its own."""

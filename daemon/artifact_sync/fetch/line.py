"""One connection under the limit of all, and the clock by which its peer is judged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from artifact_sync.fetch.bandwidth import Bandwidth, Share
from artifact_sync.fetch.stream import closing
from artifact_sync.ports import Body, Clock

__all__ = ["Line"]


class Line:
    """Counts what one connection brings, and holds it back where the limit asks for it.

    It is also a ``ports.Clock`` that stands still meanwhile: a peer that may not send is not slow.
    """

    def __init__(self, bandwidth: Bandwidth, clock: Clock, share: Share | None = None) -> None:
        """``share``: of the transfer that it belongs to; None: one of its own."""
        self._bandwidth = bandwidth
        self._clock = clock
        self._share = share or Share()
        #: Seconds for which it was held back, in all.
        self.held = 0.0

    def beside(self) -> Line:
        """One more connection of the same transfer, which has no more than one would have."""
        return Line(self._bandwidth, self._clock, self._share)

    @property
    def limit(self) -> int | None:
        """Bytes a second that all connections may bring at present; None: no limit."""
        return self._bandwidth.limit

    def limited(self, body: Body) -> Body:
        """The same body, held back."""
        return body if self._bandwidth.unlimited else _Limited(body, self)

    async def chunks(self, body: Body) -> AsyncIterator[bytes]:
        """The body's chunks, each when it is within the limit; nothing is read ahead."""
        async with closing(body.chunks()) as chunks:
            async for chunk in chunks:
                began = self._clock.monotonic()
                try:
                    await self._bandwidth.admit(self._share, len(chunk))
                finally:
                    self.held += self._clock.monotonic() - began
                yield chunk

    def now(self) -> datetime:
        """As the clock has it."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds for which it was not held back."""
        return self._clock.monotonic() - self.held

    async def sleep(self, seconds: float) -> None:
        """As the clock does."""
        await self._clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class _Limited:
    """Implements ``ports.Body``."""

    body: Body
    line: Line

    @property
    def offset(self) -> int:
        return self.body.offset

    @property
    def total(self) -> int | None:
        return self.body.total

    @property
    def etag(self) -> str | None:
        return self.body.etag

    @property
    def source(self) -> str:
        return self.body.source

    @property
    def content_type(self) -> str:
        return self.body.content_type

    def chunks(self) -> AsyncIterator[bytes]:
        return self.line.chunks(self.body)

"""Which bytes of one file are here, which are on their way, and which still have no connection."""

from __future__ import annotations

from dataclasses import dataclass, field

from artifact_sync.core.pieces import piece_end

__all__ = ["Span", "Spans"]


@dataclass(slots=True, kw_only=True, eq=False)
class Span:
    """Bytes from ``start`` until before ``stop``; those before ``at`` are written."""

    start: int
    stop: int
    at: int


@dataclass(slots=True, kw_only=True)
class Spans:
    """The bytes of a file of ``total`` bytes from ``begun`` on, given out in order to ``connections``."""

    total: int
    begun: int
    connections: int
    _next: int = field(init=False)
    #: In the order of the file.
    _known: list[Span] = field(default_factory=list)
    #: What a connection did not bring, in the order of the file.
    _returned: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing has been given out."""
        self._next = self.begun

    def take(self) -> Span | None:
        """The next bytes that nobody brings; None: there are none."""
        if self._returned:
            return self._returned.pop(0)
        if self._next >= self.total:
            return None
        stop = piece_end(self._next, self.total, connections=self.connections)
        span = Span(start=self._next, stop=stop, at=self._next)
        self._next = stop
        self._known.append(span)
        return span

    def give_back(self, span: Span) -> None:
        """What is not written of this span is to be brought by another connection."""
        if span.at == span.stop:
            return
        rest = Span(start=span.at, stop=span.stop, at=span.at)
        span.stop = span.at
        for spans in (self._known, self._returned):
            spans.append(rest)
            spans.sort(key=lambda one: one.start)

    def contiguous(self, size: int) -> int:
        """Up to where there is no gap, when there is none up to ``size``."""
        while self._known and self._known[0].at == self._known[0].stop <= size:
            self._known.pop(0)
        for span in self._known:
            if span.start > size:
                break
            size = max(size, span.at)
            if span.at < span.stop:
                break
        return size

    @property
    def gaps(self) -> bool:
        """Whether bytes lie behind a gap that nobody brings."""
        return bool(self._returned) and any(span.at > self._returned[0].start for span in self._known)

    @property
    def ahead(self) -> int:
        """Where the bytes begin that were not given out yet."""
        return self._returned[0].start if self._returned else self._next

"""Tell whether one connection is what holds a download up."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bottleneck"]

MIB = 1 << 20
#: Seconds that are looked at together: some round trips, even of a slow link, so that its beginning is not judged.
_WINDOW = 0.5
#: The part of them that was spent waiting for the peer. Whoever waits less is held up by its own disk or processor.
_WAITING = 0.6
#: The part of them that the limit of all downloads may have taken. Where it takes more, it would take more from each of several.
_HELD = 0.05
#: The part of that limit which one connection has, and several would have no more than twice.
_MOST_OF_IT = 0.5
#: Bytes a second that one connection brings anywhere: a gigabit's worth is no reason for a second one.
_PLENTY = 100 * MIB
#: Seconds that there must be left to win something.
_WORTH = 2.0


@dataclass(slots=True, kw_only=True)
class Bottleneck:
    """Watches a download of ``total`` bytes, window by window."""

    total: int
    _began: float | None = None
    _bytes: int = 0
    _waited: float = 0.0
    _held: float = 0.0

    def found(
        self, now: float, size: int, waited: float, received: int, *, held: float = 0.0, limit: int | None = None
    ) -> bool:
        """``size`` bytes came after ``waited`` seconds, ``received`` in all; whether more connections would be faster.

        ``held``: seconds in all for which the connection was held back for the limit of all downloads, ``limit`` bytes a second.
        The first chunk is not counted: its wait was for the answer to begin.
        """
        if self._began is None:
            self._began, self._held = now, held
            return False
        self._bytes += size
        self._waited += waited
        elapsed = now - self._began
        if elapsed < _WINDOW:
            return False
        rate = self._bytes / elapsed
        limited = held - self._held > _HELD * elapsed or (limit is not None and rate > _MOST_OF_IT * limit)
        slow = self._waited >= _WAITING * elapsed and rate < _PLENTY
        found = slow and not limited and self.total - received >= _WORTH * rate
        self._began, self._bytes, self._waited, self._held = now, 0, 0.0, held
        return found

"""Notices a connection that goes on but brings next to nothing.

A read timeout alone does not see it: one byte each half minute resets it for ever.
"""

from __future__ import annotations

from collections import deque

__all__ = ["RateFloor"]

_SLOTS = 12


class RateFloor:
    """Bytes over the last ``window`` seconds of waiting for the peer.

    Only waiting counts: time spent on this side (a slow disk) is not the peer's, and its bytes arrive meanwhile.
    """

    def __init__(self, *, rate: int, window: float) -> None:
        self._least = rate * window
        self._window = window
        self._slots: deque[tuple[float, int]] = deque()
        self._waited = 0.0
        self._slot_began = 0.0
        self._slot_bytes = 0

    def received(self, size: int, waited: float) -> bool:
        """``size`` bytes came after ``waited`` seconds; whether the whole window has brought too little."""
        self._waited += waited
        self._slot_bytes += size
        if self._waited - self._slot_began < self._window / _SLOTS:
            return False
        self._slots.append((self._slot_began, self._slot_bytes))
        self._slot_began, self._slot_bytes = self._waited, 0
        while len(self._slots) > 1 and self._waited - self._slots[1][0] >= self._window:
            self._slots.popleft()
        began = self._slots[0][0]
        return self._waited - began >= self._window and self.recent < self._least

    @property
    def recent(self) -> int:
        """Bytes of the window as it stood when it was last looked at."""
        return sum(size for _, size in self._slots)

"""Who follows what happens: so many pages at a time, and of each token no more than its share."""

from __future__ import annotations

from collections import Counter

__all__ = ["Seats"]

#: Of all seats one token gets a quarter, or more where there are fewer tokens.
_SHARES = 4


class Seats:
    """Seats for pages that are open. Nobody waits for one."""

    def __init__(self, most: int) -> None:
        """``most``: how many there are."""
        self._most = most
        self._taken: Counter[bytes | None] = Counter()

    def take(self, token: bytes | None, *, tokens: int) -> bool:
        """Whether there is one for a page of this token, which is taken then. ``tokens``: how many there are, 0 where none is needed."""
        share = max(1, self._most // min(_SHARES, max(1, tokens)))
        if self._taken.total() >= self._most or self._taken[token] >= share:
            return False
        self._taken[token] += 1
        return True

    def leave(self, token: bytes | None) -> None:
        """Give one of this token's back."""
        self._taken[token] -= 1
        if not self._taken[token]:
            del self._taken[token]

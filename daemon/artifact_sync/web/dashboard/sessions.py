"""Who has logged in: browsers cannot send a token with each request, and must not keep it where scripts can read it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256

__all__ = ["Sessions"]

_BYTES = 32


class Sessions:
    """Random names of sessions, in memory alone: a restart ends them all."""

    def __init__(
        self, *, seconds: float = 12 * 3600, most: int = 250, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``seconds``: how long one lasts. ``most``: how many a token has; its oldest goes for a new one, and no other's.

        So there are as many at most as good tokens within that time times ``most``.
        """
        self.seconds = seconds
        self._most = most
        self._monotonic = monotonic
        #: Digest of the name -> digest of the token, and its end; the oldest first.
        self._known: dict[bytes, tuple[bytes, float]] = {}

    def begin(self, token: bytes) -> str:
        """The name of a new session of the token with this digest."""
        name, now = secrets.token_urlsafe(_BYTES), self._monotonic()
        self._known = {key: kept for key, kept in self._known.items() if kept[1] > now}
        own = [key for key, (whose, _) in self._known.items() if whose == token]
        for key in own[: max(0, len(own) + 1 - self._most)]:
            del self._known[key]
        self._known[_key(name)] = token, now + self.seconds
        return name

    def token(self, name: str) -> bytes | None:
        """The digest of the token whose session this is; None where it is none, or none any more."""
        # A digest is looked up: how long that takes says nothing about a name.
        key = _key(name)
        token, end = self._known.get(key, (None, 0.0))
        if token is not None and end <= self._monotonic():
            del self._known[key]
            return None
        return token

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def end(self, name: str) -> None:
        """It is none any more."""
        self._known.pop(_key(name), None)


def _key(name: str) -> bytes:
    return sha256(name.encode("utf-8", "surrogateescape")).digest()

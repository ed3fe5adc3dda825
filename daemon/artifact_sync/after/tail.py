"""The last words of what may talk without end."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio

__all__ = ["Tail"]

#: Characters that are told. More bytes are remembered: a secret that is cut in half would not be known for one.
_TOLD = 4096
_KEPT = 4 * _TOLD
_READ = 64 * 1024


class Tail:
    """Reads a pipe to its end and remembers the last few KiB."""

    def __init__(self, pipe: int) -> None:
        """``pipe``: a descriptor that does not block; the caller's to close."""
        self._pipe = pipe
        self._kept = bytearray()
        #: Set when nobody holds the other end any more.
        self.ended = anyio.Event()

    async def read(self) -> None:
        """To the end."""
        while True:
            await anyio.wait_readable(self._pipe)
            try:
                block = os.read(self._pipe, _READ)
            except BlockingIOError:
                continue
            if not block:
                self.ended.set()
                return
            self._kept += block
            if len(self._kept) > 2 * _KEPT:
                del self._kept[:-_KEPT]

    def words(self, mask: Callable[[str], str]) -> str:
        """What was read last, without secrets, and without what would confuse a terminal."""
        text = mask(self._kept[-_KEPT:].decode("utf-8", "replace"))
        plain = "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
        return plain.replace("\r\n", "\n").strip()[-_TOLD:]

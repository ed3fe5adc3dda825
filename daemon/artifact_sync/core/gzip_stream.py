"""A gzip file's bytes, fed as they come, prove themselves: every member inflates to its end, with its CRC and length.

The work of each step is bounded: no call into zlib gives more than ``UNPACKED`` bytes, whatever is fed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from artifact_sync.core.archive_inflate import UNPACKED
from artifact_sync.errors import Corrupt

__all__ = ["GzipStream"]

#: zlib's way to ask for a gzip header and trailer, whose CRC and length it compares (RFC 1952 section 2.3.1).
_GZIP = 16 + zlib.MAX_WBITS


class GzipStream:
    """Any number of members one after another, which is one file (RFC 1952 section 2.2)."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, block: bytes) -> Iterator[int]:
        """How many bytes each step of a block gave; to be exhausted before the next one. Raises Corrupt."""
        while block:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            self._begun = True
            yield len(self._inflated(block))
            block = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def end(self) -> Iterator[int]:
        """The same for what is left once everything was fed. Raises Corrupt, at the latest when exhausted: it is cut off."""
        # What one call was not allowed to give stays inside zlib when its input is used up.
        while not self._stream.eof:
            unpacked = self._inflated(b"") if self._begun else b""
            if not unpacked and not self._stream.eof:
                raise Corrupt("the gzip data is cut off: it does not end")
            yield len(unpacked)

    def _inflated(self, block: bytes) -> bytes:
        try:
            return self._stream.decompress(block, UNPACKED)
        except zlib.error as error:
            raise Corrupt(f"not gzip data: {error}") from error

"""A checksum in JSON that is still JSON: SQLite has none of its pages, and a flipped bit in a text passes all of its checks.

It stands behind the text, in whitespace: 32 spaces and tabs are the bits of its CRC-32. Nobody else needs to know of it.
"""

from __future__ import annotations

import zlib

__all__ = ["sealed", "unsealed"]

_BITS = 32
_ZERO, _ONE = " ", "\t"
_WRITTEN = str.maketrans("01", _ZERO + _ONE)
#: Columns have it as their default.
_EMPTY = "[]"


def sealed(text: str) -> str:
    """The text with its seal. It must not end in whitespace; an empty list has none."""
    return text if text == _EMPTY else text + _seal(text)


def unsealed(text: str) -> str | None:
    """The text without its seal, if it has one; None where that is another text's."""
    bare = text.rstrip(_ZERO + _ONE)
    seal = text[len(bare) :]
    return bare if not seal or seal == _seal(bare) else None


def _seal(text: str) -> str:
    return format(zlib.crc32(text.encode("utf-8", "surrogatepass")), f"0{_BITS}b").translate(_WRITTEN)

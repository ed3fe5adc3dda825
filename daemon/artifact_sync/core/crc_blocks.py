"""The CRC-32 of a long stretch from those of its blocks.

CRC-32 is linear: that of two strings one after another is that of the first, moved on by as many zero bits as the second has,
plus that of the second (modulo 2). To move it on by a fixed number of bits is one multiplication by a matrix, which is kept as
a table for each byte of the CRC.
"""

from __future__ import annotations

from functools import cache

__all__ = ["BLOCK", "following"]

#: Bytes of a block: few calls for many bytes, and little to read again at the edges of what is large.
BLOCK = 1 << 20
#: The polynomial of zlib's and zip's CRC-32, lowest bit first (RFC 1952 section 8).
_POLYNOMIAL = 0xEDB88320

#: The images of the 32 bits of a CRC.
_Matrix = tuple[int, ...]


def following(crc: int, block: int) -> int:
    """The CRC of a string with ``crc`` and, behind it, ``BLOCK`` bytes whose CRC is ``block``."""
    lowest, low, high, highest = _tables()
    return lowest[crc & 0xFF] ^ low[crc >> 8 & 0xFF] ^ high[crc >> 16 & 0xFF] ^ highest[crc >> 24] ^ block


@cache
def _tables() -> tuple[tuple[int, ...], ...]:
    # One zero bit shifts the CRC down, and takes the polynomial off where a one falls out; squared, two bits, and so on.
    matrix: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    for _ in range((8 * BLOCK).bit_length() - 1):
        matrix = tuple(_times(matrix, column) for column in matrix)
    return tuple(tuple(_times(matrix, byte << shift) for byte in range(256)) for shift in (0, 8, 16, 24))


def _times(matrix: _Matrix, vector: int) -> int:
    found = 0
    for column in matrix:
        if vector & 1:
            found ^= column
        vector >>= 1
    return found

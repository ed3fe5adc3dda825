"""Which piece of a large file is asked for next, when several connections bring it."""

from __future__ import annotations

__all__ = ["piece_end"]

MIB = 1 << 20
#: Each piece costs a request, and up to so many pieces are behind the first gap when the process is killed.
_PIECES = 64
_LEAST, _MOST = 4 * MIB, 64 * MIB


def piece_end(start: int, total: int, *, connections: int) -> int:
    """Where a piece from ``start`` of ``total`` bytes ends, so that ``connections`` of them end together.

    The last pieces are smaller, so that no connection is long at work alone; none is smaller than 4 MiB but the last.
    """
    left = total - start
    size = min(_MOST, total // _PIECES, left // (2 * connections))
    return min(total, start + max(_LEAST, size))

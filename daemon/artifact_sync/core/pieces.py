"""Which piece of a large file is asked for next, when several connections bring it.

What was brought behind the first gap is lost when the process is killed. It is no more than a thirtieth of the file (of
files so large that their pieces are not the smallest there are), which is shared out so that no connection waits for another
one as long as all are about as fast: at most so many pieces as there are connections, and a half, lie behind the gap.
"""

from __future__ import annotations

__all__ = ["furthest", "piece_end"]

MIB = 1 << 20
_LOST = 30
#: Each piece costs a request.
_LEAST, _MOST = 4 * MIB, 64 * MIB


def piece_end(start: int, total: int, *, connections: int) -> int:
    """Where a piece from ``start`` of ``total`` bytes ends, so that ``connections`` of them end together.

    The last pieces are smaller, so that no connection is long at work alone; none is smaller than 4 MiB but the last.
    """
    left = total - start
    size = min(_size(total, connections), left // (2 * connections))
    return min(total, start + max(_LEAST, size))


def furthest(total: int, *, connections: int) -> int:
    """How far behind the first gap a piece may begin."""
    return (2 * connections - 1) * _size(total, connections) // 2


def _size(total: int, connections: int) -> int:
    return max(_LEAST, min(_MOST, 2 * (total // _LOST) // (2 * connections + 1)))

"""How long to wait before trying again."""

from __future__ import annotations

__all__ = ["delay"]


def delay(attempt: int, *, base: float, cap: float, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait before the attempt after number ``attempt`` (1 is the first).

    Exponential with full jitter, so that many clients do not come back together: ``jitter`` of [0, 1) is the caller's
    random number. A server's ``retry_after`` is the least that is waited, up to ``cap``.
    """
    # 2**64 is beyond any cap; larger exponents would overflow a float.
    ceiling = min(cap, base * 2.0 ** min(attempt - 1, 64))
    wait = ceiling * jitter
    return wait if retry_after is None else min(cap, max(0.0, retry_after)) + min(wait, base)

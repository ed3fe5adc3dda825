"""What somebody who works is doing, for who watches over it: steps, and waits that are no standstill.

Whoever is deep in an adapter says ``stepped()``, or waits within ``waiting()``, for whichever worker called it; where nobody
watches, both do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from artifact_sync.ports.clock import Clock

__all__ = ["Steps", "stepped", "waiting", "watched"]


@dataclass(slots=True, eq=False)
class Steps:
    """The steps of one worker, or of one piece of work."""

    clock: Clock
    #: When it made the last one, on the monotonic clock.
    at: float
    #: Waits for what is bounded elsewhere, and may be long: a place in the budget, a limit, a whole archive's check.
    waits: int = 0

    @property
    def still(self) -> float:
        """Seconds since the last step; zero while it waits for what may take long."""
        return 0.0 if self.waits else self.clock.monotonic() - self.at


_CURRENT: ContextVar[Steps | None] = ContextVar("steps", default=None)


@contextmanager
def watched(clock: Clock) -> Iterator[Steps]:
    """What is done in this block, and in the tasks that it starts, counts as steps of the one that is yielded."""
    steps = Steps(clock, clock.monotonic())
    token = _CURRENT.set(steps)
    try:
        yield steps
    finally:
        _CURRENT.reset(token)


def stepped() -> None:
    """Something has come, or is done."""
    if (steps := _CURRENT.get()) is not None:
        steps.at = steps.clock.monotonic()


@contextmanager
def waiting() -> Iterator[None]:
    """This wait has an end by itself, and may be long all the same."""
    if (steps := _CURRENT.get()) is None:
        yield
        return
    steps.waits += 1
    try:
        yield
    finally:
        steps.waits -= 1
        steps.at = steps.clock.monotonic()

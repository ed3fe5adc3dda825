"""Pieces of work as spans, for who follows them from outside: how long each took, and of which other one it is a part.

Whoever does a piece of work does it within ``span()``; whoever comes by something about it, deep in an adapter too, says
``noted()`` or ``failed()``. Where nobody traces, all of them do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Tracer", "Value", "failed", "noted", "span", "traced"]

#: None: it is not known, and is left out.
Value = str | int | float | bool | None


class Tracer(Protocol):
    """Where spans go. It never waits for who takes them, raises nothing of its own, and lets no secret out."""

    def span(self, name: str, attributes: Mapping[str, Value], *, client: bool) -> AbstractContextManager[None]:
        """A span of what the block does, within the one that this context is in. An error that leaves the block is its end."""

    def noted(self, attributes: Mapping[str, Value]) -> None:
        """Of the span that this context is in."""

    def failed(self, kind: str, text: str) -> None:
        """The same, which came to nothing: one of a few kinds, and what happened."""


_CURRENT: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


@contextmanager
def traced(tracer: Tracer) -> Iterator[None]:
    """The spans of what is done in this block, and in the tasks that it starts, go there."""
    token = _CURRENT.set(tracer)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def span(name: str, /, *, client: bool = False, **attributes: Value) -> Iterator[None]:
    """What is done in this block is one piece of work. ``client``: somebody else is asked to do it.

    A name is one of a few. An attribute with a dot in its name is one that others have defined, and else the product's own.
    """
    if (tracer := _CURRENT.get()) is None:
        yield
        return
    with tracer.span(name, attributes, client=client):
        yield


def noted(**attributes: Value) -> None:
    """This is so of the piece of work that is under way."""
    if (tracer := _CURRENT.get()) is not None:
        tracer.noted(attributes)


def failed(kind: str, text: str = "") -> None:
    """The piece of work that is under way has come to nothing, for this kind of reason: one of a few."""
    if (tracer := _CURRENT.get()) is not None:
        tracer.failed(kind, text)

"""A tracer that writes down what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from artifact_sync.ports.tracing import Value

_INNERMOST: ContextVar[tuple[str, ...]] = ContextVar("innermost", default=())


class Written:
    """Implements ``ports.tracing.Tracer``."""

    def __init__(self) -> None:
        #: Name and attributes of each span, in the order of their beginnings.
        self.spans: list[tuple[str, dict[str, Any]]] = []

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value], *, client: bool) -> Iterator[None]:
        self.spans.append((name, {**attributes, "within": _INNERMOST.get()}))
        token = _INNERMOST.set((*_INNERMOST.get(), name))
        try:
            yield
        except Exception as error:
            self.noted({"raised": type(error).__name__})
            raise
        finally:
            _INNERMOST.reset(token)

    def noted(self, attributes: Mapping[str, Value]) -> None:
        self.spans[-1][1].update(attributes)

    def failed(self, kind: str, text: str) -> None:
        self.spans[-1][1]["failed"] = kind

"""Newline-delimited JSON for programs: each event as an object with `event`, `at` and the event's own fields."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from artifact_sync.core.events import Event, Received, TransferEnded

__all__ = ["JsonLines", "dumps"]

#: Seconds between two progress objects of one transfer.
_PACE = 1.0


def dumps(value: Any) -> str:
    """JSON in one line; dataclasses, structs, enums, moments and paths become plain data."""
    return msgspec.json.encode(value, enc_hook=str).decode()


class JsonLines:
    """Writes each event as one line of JSON, flushed at once. Progress comes at most once a second per transfer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, Received):
            now = monotonic()
            if now - self._told.get(event.transfer_id, 0.0) < _PACE:
                return
            self._told[event.transfer_id] = now
        elif isinstance(event, TransferEnded):
            self._told.pop(event.transfer_id, None)
        self.write(_snake(type(event).__name__), msgspec.to_builtins(event))

    def say(self, text: str) -> None:
        """A line of the command's own."""
        self.write("note", {"text": text})

    def write(self, name: str, fields: dict[str, Any]) -> None:
        """Write one object."""
        print(dumps({"event": name, "at": datetime.now(UTC), **fields}), file=self._stream, flush=True)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

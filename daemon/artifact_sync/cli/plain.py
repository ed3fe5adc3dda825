"""Plain lines for journals and CI: one a happening, flushed at once, without colours or cursor movements."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from artifact_sync.cli.lines import line
from artifact_sync.cli.words import one_line
from artifact_sync.core.events import Event

__all__ = ["Plain"]


class Plain:
    """Prints each event that is worth a line, with the time in UTC before it."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Print the event's line, if it has one."""
        text = line(event, verbose=self._verbose)
        if text is not None:
            self.say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}")

    def say(self, text: str) -> None:
        """Print a line of the command's own."""
        print(one_line(text), file=self._stream, flush=True)

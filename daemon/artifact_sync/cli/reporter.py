"""Who tells what happens: bars on a terminal, JSON for programs, elsewhere plain lines, or the daemon's log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

import structlog

from artifact_sync.cli.jsonl import JsonLines
from artifact_sync.cli.plain import Plain
from artifact_sync.core.events import Event
from artifact_sync.observe import log_events

__all__ = ["Reporter", "reporter"]

log = structlog.get_logger()


class Reporter(Protocol):
    """A subscriber of events that draws between entering and leaving."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None:
        """Tell one event."""

    def say(self, text: str) -> None:
        """Tell a line of the command's own."""


class Logged:
    """Tells the log."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Log the event."""
        log_events(event)

    def say(self, text: str) -> None:
        """Log a line of the command's own."""
        log.info("command.said", text=text)


def reporter(*, as_json: bool, verbose: bool, daemon: bool = False) -> Reporter:
    """The reporter for standard output as it is. A ``daemon`` has nobody before it: its log says everything."""
    if as_json:
        return JsonLines(sys.stdout)
    if sys.stdout.isatty():
        from artifact_sync.cli.progress import Bars  # noqa: PLC0415 - rich takes long to import, and is of no use elsewhere

        return Bars(verbose=verbose)
    if daemon:
        return Logged()
    return Plain(sys.stdout, verbose=verbose)

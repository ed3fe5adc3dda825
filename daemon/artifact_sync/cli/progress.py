"""Bars on a terminal: one a transfer with bytes, rate and remaining time, and a total. Lines scroll above them."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from artifact_sync.cli.lines import line
from artifact_sync.cli.words import one_line
from artifact_sync.core import events
from artifact_sync.errors import Outcome

__all__ = ["Bars"]

_WIDTH = 44
#: Columns of the terminal below which the bar, and then the speed, is left out: a row that wraps cannot be drawn over.
_WITH_BAR, _WITH_SPEED = 100, 72
#: What every row has beside its name: spinner, bytes, remaining time, and the gaps.
_BESIDE = 34
_LEAST = 8


class Bars:
    """Draws running transfers; finished ones become a line. The total grows as jobs are selected."""

    def __init__(self, console: Console | None = None, *, verbose: bool = False) -> None:
        self._console = console or Console()
        self._verbose = verbose
        self._progress = Progress(*_columns(self._console.width), console=self._console, transient=True)
        self._bars: dict[int, TaskID] = {}
        self._received: dict[int, int] = {}
        self._total: TaskID | None = None
        self._expected = 0
        self._done = 0
        self._ended = 0
        self._found = 0

    def __enter__(self) -> Self:
        self._progress.start()
        self._total = self._progress.add_task("total", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: events.Event) -> None:
        """Show the event."""
        match event:
            case events.Selected():
                self._found += 1
                self._expected += event.size or 0
            case events.TransferStarted():
                name = f"{event.project} {event.ref} {event.job}"
                name = name if len(name) <= _WIDTH else f"...{name[3 - _WIDTH :]}"
                self._bars[event.transfer_id] = self._progress.add_task(name, total=event.total)
            case events.Received() if event.transfer_id in self._bars:
                self._received[event.transfer_id] = event.received
                self._progress.update(self._bars[event.transfer_id], completed=event.received)
            case events.TransferEnded():
                bar = self._bars.pop(event.transfer_id, None)
                self._received.pop(event.transfer_id, None)
                if bar is not None:
                    self._progress.remove_task(bar)
                if event.outcome is Outcome.PUBLISHED:
                    self._done += event.size
                    self._ended += 1
        self._redraw_total()
        text = line(event, verbose=self._verbose)
        if text is not None:
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(escape(one_line(text)), highlight=False, soft_wrap=True)

    def _redraw_total(self) -> None:
        if self._total is None:
            return
        completed = self._done + sum(self._received.values())
        self._progress.update(
            self._total,
            completed=completed,
            total=max(self._expected, completed) or None,
            description=f"total, {self._ended} of {max(self._found, self._ended)} mirrored",
        )


def _columns(width: int) -> Iterator[ProgressColumn]:
    """As many as the terminal has room for. None wraps: what is too long is cut."""
    yield SpinnerColumn(table_column=_whole())
    room = max(_LEAST, min(_WIDTH, width - _BESIDE))
    yield TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", max_width=room)
    )
    if width >= _WITH_BAR:
        yield BarColumn(bar_width=24, table_column=_whole())
    yield DownloadColumn(binary_units=True, table_column=_whole())
    if width >= _WITH_SPEED:
        yield TransferSpeedColumn(table_column=_whole())
    yield TimeRemainingColumn(compact=True, table_column=_whole())


def _whole() -> Column:
    return Column(no_wrap=True, overflow="crop")

"""How far a long look at the store is: a row on a terminal that is drawn anew, elsewhere nothing."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from artifact_sync.cli.words import count
from artifact_sync.core.inspection import Inspection
from artifact_sync.engine.verifying import Gauge

__all__ = ["Row", "gauge"]


class Row(Gauge):
    """Draws bytes, speed and remaining time. Lines that others print to the same console scroll above it."""

    def __init__(self, total: int | None) -> None:
        """``total``: bytes, where they are known."""
        from rich.console import Console  # noqa: PLC0415 - takes long to import, and is of no use elsewhere
        from rich.progress import (  # noqa: PLC0415 - as above
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(*columns, console=Console(), transient=True)
        self._task = self._progress.add_task("verifying", total=total)
        self._publications = self._damaged = 0
        #: Bytes of what was looked into, and bytes read since: what lies twice under one inode is read once.
        self._done = self._read = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def read(self, count: int) -> None:
        """Bytes, from any thread: the drawing has a lock of its own."""
        self._read += count
        self._progress.update(self._task, completed=self._done + self._read)

    def looked(self, inspection: Inspection) -> None:
        """One more."""
        self._publications += 1
        self._damaged += bool(inspection.harmed)
        self._done += inspection.size
        self._read = max(0, self._read - inspection.size)
        what = f"verified {count(self._publications, 'publication')}"
        if self._damaged:
            what += f", {self._damaged:,} damaged"
        self._progress.update(self._task, completed=self._done + self._read, description=what)

    def fetching(self) -> None:
        """Bars of others follow."""
        self._progress.stop()


class _Nothing(Gauge):
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def gauge(total: int | None, *, as_json: bool) -> Row | _Nothing:
    """The one for standard output as it is."""
    return Row(total) if sys.stdout.isatty() and not as_json else _Nothing()

"""Where a download goes: a file, or standard output once it is proved; and a bar on a terminal meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from artifact_sync.cli.job_log import shown
from artifact_sync.cli.output import CLOSED
from artifact_sync.core.events import Event, Received
from artifact_sync.errors import UsageError

__all__ = ["STDOUT", "bar", "place_for", "require_printable", "write_out"]

STDOUT = "-"
_BLOCK, _LINE = 1 << 20, 1 << 16


def require_printable(output: str, *, text: bool, as_json: bool) -> None:
    """Raise UsageError for what must not go to standard output as it is."""
    if output != STDOUT:
        return
    if as_json:
        raise UsageError("--json and --output - exclude each other", hint="Name a file: --output FILE.")
    if not text and sys.stdout.isatty():
        raise UsageError("this is no text for a terminal", hint="Name a file, --output FILE, or pipe it somewhere.")


@contextmanager
def place_for(output: str, name: str) -> Iterator[Path]:
    """The path to download to: of the file, or of one that is only for standard output."""
    if output != STDOUT:
        yield Path(output)
        return
    with TemporaryDirectory(prefix="artifact-sync-") as folder:
        yield Path(folder) / name


def write_out(path: Path) -> int:
    """Copy a proved file to standard output; the exit code. A terminal gets its text, without what would act on it."""
    sys.stdout.flush()
    try:
        with path.open("rb") as file:
            if sys.stdout.isatty():
                # By lines: what acts on a terminal is gone also where it begins in one piece and ends in the next.
                while line := file.readline(_LINE):
                    _write(shown(line.decode("utf-8", "replace")).encode())
            else:
                while block := file.read(_BLOCK):
                    _write(block)
    except BrokenPipeError:
        return CLOSED
    return 0


def _write(data: bytes) -> None:
    # Beside sys.stdout, whose encoding is none of these bytes' business.
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


@contextmanager
def bar(name: str, total: int | None, *, hidden: bool) -> Iterator[Callable[[Event], None]]:
    """A bar on standard error where that is a terminal; who is told how far the download is."""
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes long to import, and is of no use elsewhere
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = ("{task.description}", BarColumn(24), DownloadColumn(binary_units=True))
    console = Console(stderr=True)
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(name, total=total)

        def tell(event: Event) -> None:
            if isinstance(event, Received):
                progress.update(task, completed=event.received)

        yield tell

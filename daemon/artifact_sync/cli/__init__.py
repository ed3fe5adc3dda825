"""The command line: parse, call, print, exit code. It is the only part that prints."""

from __future__ import annotations

import os
import sys

import click

from artifact_sync.cli.commands import root
from artifact_sync.cli.failure import report
from artifact_sync.observe import configure

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code; ``argv`` is without the program's name."""
    configure(form="console", level="warning")
    try:
        code = root.main(args=argv, prog_name="artifact-sync", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        # The reader went away (`artifact-sync status | head`); Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BaseException as error:
        known = report(error)
        if known is None:
            raise
        return known
    return code if isinstance(code, int) else 0

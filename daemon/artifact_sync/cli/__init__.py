"""The command line: parse, call, print, exit code. It is the only part that prints."""

from __future__ import annotations

import click

from artifact_sync.cli.commands import root
from artifact_sync.cli.failure import report
from artifact_sync.cli.notices import notice
from artifact_sync.cli.output import CLOSED, patient_output
from artifact_sync.observe import configure

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code; ``argv`` is without the program's name."""
    configure(form="console", level="warning", words=notice)
    with patient_output() as output:
        code = _run(argv)
    return CLOSED if output.gone and code == 0 else code


def _run(argv: list[str] | None) -> int:
    try:
        code = root.main(args=argv, prog_name="artifact-sync", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except BaseException as error:
        known = report(error)
        if known is None:
            raise
        return known
    return code if isinstance(code, int) else 0

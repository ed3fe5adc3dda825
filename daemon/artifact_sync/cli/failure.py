"""Any error as two lines on standard error and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from artifact_sync.core.words import sentence
from artifact_sync.errors import ArtifactSyncError, ConfigError

__all__ = ["INTERRUPTED", "report"]

#: 128 + SIGINT.
INTERRUPTED = 130


def report(error: BaseException) -> int | None:
    """Say what happened and what to do, and return the exit code; None where the error is a fault of this program.

    Of several errors at once each is said once; the highest code counts, because a damaged store (4) or a refused
    credential (3) explains what else failed (1).
    """
    leaves = list(_leaves(error))
    if all(isinstance(leaf, KeyboardInterrupt | click.Abort) for leaf in leaves):
        return INTERRUPTED
    known = [leaf for leaf in leaves if isinstance(leaf, ArtifactSyncError | click.ClickException)]
    if len(known) < len(leaves):
        return None
    said: dict[tuple[str, str], int] = {}
    for leaf in known:
        said[_words(leaf)] = leaf.exit_code
    for what, hint in said:
        print(f"error: {what}", file=sys.stderr)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)
    return max(said.values())


def _words(error: ArtifactSyncError | click.ClickException) -> tuple[str, str]:
    if isinstance(error, ConfigError):
        from artifact_sync.config import ConfigProblems  # noqa: PLC0415 - takes long; who raised it has imported it already

        if isinstance(error, ConfigProblems) and len(error.problems) == 1:
            (problem,) = error.problems
            return str(problem).removesuffix(f"; {problem.cure}"), sentence(problem.cure)
    if isinstance(error, ArtifactSyncError):
        # One problem a line (configuration): the list begins on a line of its own.
        what = str(error)
        return (f"\n{what}" if "\n" in what else what), error.hint
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help says what can be written."
    return error.format_message(), hint


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error

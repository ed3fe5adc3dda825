"""Naming one job on the command line: by its address, or by project and number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from artifact_sync.errors import UsageError
from artifact_sync.gitlab import job_url_parts

__all__ = ["job_argument", "named_job"]

C = TypeVar("C", bound=Callable[..., Any])

#: As many digits as always fit into 64 bits.
_NUMBER = re.compile(r"#?([0-9]{1,18})")


def job_argument(command: C) -> C:
    """The argument ``job``, a tuple of words for ``named_job``."""
    return click.argument("job", metavar="JOB_URL | PROJECT JOB_ID", nargs=-1, required=True)(command)


def named_job(words: tuple[str, ...], base_url: str) -> tuple[str | int, int]:
    """(project's path or number, job id) of what was written. Raises UsageError, which says what to write."""
    if len(words) == 1:
        return _by_address(words[0], base_url)
    number = _NUMBER.fullmatch(words[-1])
    if len(words) != 2 or number is None:  # noqa: PLR2004 - a project and a job
        raise UsageError(
            f"{' '.join(words)} names no job",
            hint=f"Write one job's address, or a project and the job's number: {_examples(base_url)}",
        )
    return _project(words[0]), int(number[1])


def _by_address(word: str, base_url: str) -> tuple[str | int, int]:
    if "://" not in word:
        number = _NUMBER.fullmatch(word)
        what = f"{word} is a number alone" if number else f"{word} is no address"
        raise UsageError(
            f"{what}, which does not say in which project the job is",
            hint=f"Write {_examples(base_url, number[1] if number else '123')}",
        )
    path, job_id = job_url_parts(word, base_url)
    return _project(path), job_id


def _project(word: str) -> str | int:
    return int(word) if re.fullmatch("[0-9]{1,18}", word) else word


def _examples(base_url: str, number: str = "123") -> str:
    return f"group/project {number}, or {base_url.rstrip('/')}/group/project/-/jobs/{number}"

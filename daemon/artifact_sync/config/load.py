"""From a file, or its text, to settings."""

from __future__ import annotations

import os
from pathlib import Path

from artifact_sync.config import yaml
from artifact_sync.config.judge import judge
from artifact_sync.config.problems import ConfigProblems, Fault, Problem, render_path
from artifact_sync.config.settings import Settings

__all__ = ["load", "loads"]


def load(path: Path) -> Settings:
    """The settings of a configuration file. Relative paths in it are relative to its folder.

    Raises:
        ConfigError: it cannot be read, or is wrong; the message has one line for every problem.
    """
    name = os.fspath(path)
    try:
        with path.open("rb") as file:
            raw = file.read(yaml.MAX_BYTES + 1)
    except OSError as error:
        cure = "name another file with --config, or set ARTIFACT_SYNC_CONFIG"
        raise ConfigProblems([Problem(file=name, what=f"cannot be read: {error.strerror}", cure=cure)]) from error
    except ValueError:
        cure = "name another file with --config"
        raise ConfigProblems([Problem(file=repr(name), what="not a path", cure=cure)]) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        # A file cut at the limit may end inside a character; then its size is the problem.
        text = "" if len(raw) <= yaml.MAX_BYTES else raw.decode(errors="replace")
        if not text:
            good = raw[: error.start].decode()
            line, column = good.count("\n") + 1, len(good) - (good.rfind("\n") + 1) + 1
            problem = Problem(
                file=name, line=line, column=column, what="not UTF-8 from here on", cure="save it as UTF-8"
            )
            raise ConfigProblems([problem]) from None
    return loads(text, name, folder=path.parent)


def loads(
    text: str, name: str = "configuration", *, folder: Path | None = None, refuse_unbuilt: bool = True
) -> Settings:
    """The settings in a text; ``name`` stands for the file in problems, ``folder`` is where relative paths begin.

    ``refuse_unbuilt=False`` reads it as if every key had its effect already: for tests of the contract alone.

    Raises:
        ConfigError: it is wrong; the message has one line for every problem.
    """
    document = yaml.read(text, name)
    where = (folder or Path()).absolute()
    verdict = judge(document.data, folder=where, broken=document.broken, refuse_unbuilt=refuse_unbuilt)
    problems = [*document.problems, *(_problem(fault, document, name) for fault in verdict.faults)]
    if problems or verdict.settings is None:
        raise ConfigProblems(problems)
    return verdict.settings


def _problem(fault: Fault, document: yaml.Document, name: str) -> Problem:
    """The fault with its position: its key or value, or the nearest thing above it that stands in the file."""
    path = fault.path
    place = document.keys.get(path) if fault.at == "key" else document.values.get(path)
    while place is None and path:
        place = document.keys.get(path) or document.values.get(path)
        path = path[:-1]
    line, column = place or document.values.get((), yaml.Place(1, 1))
    return Problem(file=name, line=line, column=column, path=render_path(fault.path), what=fault.what, cure=fault.cure)

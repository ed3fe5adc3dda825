"""Options by which a command chooses among what is mirrored, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from artifact_sync.cli.options import Selection, config_option, selection_options
from artifact_sync.cli.stored import reading_settings, store_option
from artifact_sync.config import Settings
from artifact_sync.core.patterns import PatternError, PatternList
from artifact_sync.errors import UsageError
from artifact_sync.ports import QueuedTransfer

__all__ = ["Choice", "choice_options"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which publications are meant. What is empty asks nothing."""

    settings: Settings
    #: Whether they are of a store's own state (--store), and know neither token nor rules.
    stored: bool
    #: Destinations: globs, and folders with everything below them.
    places: PatternList
    folders: tuple[str, ...]
    projects: PatternList
    refs: PatternList
    jobs: PatternList
    rules: frozenset[str]

    @property
    def everything(self) -> bool:
        """Whether nothing is asked."""
        return not (self.folders or self.rules or any(map(_asks, (self.projects, self.refs, self.jobs))))

    def has(self, queued: QueuedTransfer) -> bool:
        """Whether it is meant."""
        transfer = queued.transfer
        project = (transfer.project_path, str(transfer.project_id))
        return (
            (not self.folders or self._at(transfer.dest))
            and any(self.projects.judge(name)[0] for name in project)
            and not any(self.projects.exclusion(name) for name in project)
            and self.refs.judge(transfer.job.ref)[0]
            and self.jobs.judge(transfer.job.name)[0]
            and (not self.rules or not self.rules.isdisjoint(transfer.rules))
        )

    def _at(self, dest: str) -> bool:
        return self.places.judge(dest)[0] or any(f"{dest}/".startswith(f"{folder}/") for folder in self.folders)


def choice_options(command: Callable[..., R]) -> Callable[..., R]:
    """The argument PATTERN and the options, gathered in one argument ``choice``."""

    @wraps(command)
    def chosen(
        *args: Any,
        config_path: Path | None,
        selection: Selection,
        store: Path | None,
        patterns: tuple[str, ...],
        rules: tuple[str, ...],
        **options: Any,
    ) -> R:
        # Without --url these choose among what is there, and do not stand in place of a configuration.
        asked = selection if selection.url is not None else replace(selection, projects=(), refs=(), jobs=())
        settings = reading_settings(store, config_path, asked)
        return command(*args, choice=_choice(settings, selection, patterns, rules, stored=store is not None), **options)

    wrapped: Callable[..., R] = chosen
    wrapped = click.option("--rule", "rules", multiple=True, help="Name of a rule; may be repeated.")(wrapped)
    wrapped = config_option(store_option(selection_options(wrapped)))
    return click.argument("patterns", metavar="[PATTERN]...", nargs=-1)(wrapped)


def _choice(
    settings: Settings, selection: Selection, patterns: tuple[str, ...], rules: tuple[str, ...], *, stored: bool
) -> Choice:
    folders = tuple(pattern.rstrip("/") for pattern in patterns)
    return Choice(
        settings=settings,
        stored=stored,
        places=_parsed("PATTERN", folders, separator=True),
        folders=folders,
        projects=_parsed("--project", selection.projects, separator=True),
        refs=_parsed("--ref", selection.refs, separator=False),
        jobs=_parsed("--job", selection.jobs, separator=False),
        rules=frozenset(rules),
    )


def _parsed(option: str, texts: Iterable[str], *, separator: bool) -> PatternList:
    try:
        return PatternList.parse(tuple(texts), separator=separator)
    except PatternError as error:
        raise UsageError(f"{option}: {error}", hint="`*` stands for any name, and `**` crosses slashes.") from error


def _asks(patterns: PatternList) -> bool:
    return patterns != PatternList.parse((), separator=False)

"""Options that several commands share, and what they say together: the settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from artifact_sync import config
from artifact_sync.errors import ConfigError, UsageError

__all__ = [
    "Selection",
    "config_option",
    "json_option",
    "load_settings",
    "moved_option",
    "selection_options",
    "verbose_option",
]

R = TypeVar("R")

_ONE_LINE = (
    "Write a configuration (docs: config/ has examples), name one with --config, or start without any: artifact-sync sync"
    " --url https://gitlab.example.com --project group/app --ref 'v*' --job package --into ./mirror"
)

config_option = click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration. Default: $ARTIFACT_SYNC_CONFIG, ./artifact-sync.yaml, /etc/artifact-sync/config.yaml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
moved_option = click.option(
    "--moved", is_flag=True, help="Take over a state that was made for GitLab's former address, or for another store."
)
verbose_option = click.option("--verbose", "-v", is_flag=True, help="Also print what is looked at, and the log.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What stands on the command line in place of a configuration."""

    url: str | None = None
    projects: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    into: str | None = None
    token_file: str | None = None
    token_env: str | None = None
    no_token: bool = False
    backfill: str | None = None
    keep: str | None = None
    concurrency: int | None = None

    @property
    def used(self) -> tuple[str, ...]:
        """The options that were written."""
        names = {field.name for field in fields(self) if getattr(self, field.name)}
        return tuple(option for name, option in _OPTIONS.items() if name in names)


_OPTIONS = {
    "url": "--url",
    "projects": "--project",
    "refs": "--ref",
    "jobs": "--job",
    "statuses": "--status",
    "into": "--into",
    "token_file": "--token-file",
    "token_env": "--token-env",
    "no_token": "--no-token",
    "backfill": "--backfill",
    "keep": "--keep",
    "concurrency": "--concurrency",
}

_SELECTION = (
    click.option("--url", help="GitLab's address, in place of a configuration: https://gitlab.example.com"),
    click.option("--project", "projects", multiple=True, help="Path, glob (group/**) or id; may be repeated."),
    click.option("--ref", "refs", multiple=True, help="Glob over refs, '!...' excludes; may be repeated."),
    click.option("--job", "jobs", multiple=True, help="Glob over job names, '!...' excludes; may be repeated."),
    click.option("--status", "statuses", multiple=True, help="success (default), failed, canceled; may be repeated."),
    click.option("--into", metavar="DIR", help="Folder of the store. Default: ./mirror."),
    click.option("--token-file", metavar="FILE", help="File with the token."),
    click.option("--token-env", metavar="NAME", help="Variable with the token. Default: GITLAB_TOKEN."),
    click.option("--no-token", is_flag=True, help="Ask without a token."),
    click.option("--backfill", metavar="DURATION", help="How far back to look: 30d (default), all, none."),
    click.option("--keep", metavar="POLICY", help="never, before_expiry (default) or always."),
    click.option("--concurrency", type=click.IntRange(1, 256), help="Transfers at the same time. Default: 8."),
)


def selection_options(command: Callable[..., R]) -> Callable[..., R]:
    """The options that stand in place of a configuration, gathered in one argument ``selection``."""

    @wraps(command)
    def gathered(*args: Any, **options: Any) -> R:
        chosen = {name: options.pop(name) for name in _OPTIONS}
        return command(*args, selection=Selection(**chosen), **options)

    wrapped: Callable[..., R] = gathered
    for option in reversed(_SELECTION):
        wrapped = option(wrapped)
    return wrapped


def load_settings(
    config_path: Path | None, selection: Selection | None = None, *, without: str = _ONE_LINE
) -> config.Settings:
    """The settings that the command line asks for: of the options, or of a file. ``without``: how to do without a file.

    Raises:
        UsageError: options that exclude or need each other.
        ConfigError: no configuration is found, or it is wrong.
    """
    if selection and selection.url is not None:
        return _quick(config_path, selection)
    if selection and selection.used:
        raise UsageError(
            f"{', '.join(selection.used)} cannot stand without --url",
            hint="These options take the place of a configuration; add --url, or write them into the configuration.",
        )
    return config.load(config_path or _find(without))


def _quick(config_path: Path | None, selection: Selection) -> config.Settings:
    if config_path is not None:
        raise UsageError(
            "--url and --config exclude each other",
            hint="The options take the place of a configuration; leave one out.",
        )
    if not selection.projects:
        raise UsageError(
            "--url needs at least one --project", hint="Write a path, a glob or an id: --project group/app"
        )
    sources = [name for name in ("token_file", "token_env", "no_token") if getattr(selection, name)]
    if len(sources) > 1:
        raise UsageError(
            f"{' and '.join(_OPTIONS[name] for name in sources)} exclude each other", hint="Name one source."
        )
    into = Path(selection.into or "mirror")
    if into.exists() and not into.is_dir():
        raise UsageError(
            f"--into: {into} is a file, not a folder",
            hint="Name a folder for the store; it is made where it is missing.",
        )
    concurrency = selection.concurrency
    return config.quick(
        url=selection.url or "",
        projects=selection.projects,
        refs=selection.refs,
        jobs=selection.jobs,
        statuses=selection.statuses,
        into=into,
        token_file=selection.token_file,
        token_env=selection.token_env,
        no_token=selection.no_token,
        backfill=selection.backfill,
        keep=selection.keep,
        overrides={"downloads": {"concurrency": concurrency}} if concurrency else None,
    )


def _find(without: str) -> Path:
    named = os.environ.get("ARTIFACT_SYNC_CONFIG")
    if named:
        return Path(named)
    places = (Path("artifact-sync.yaml"), Path("/etc/artifact-sync/config.yaml"))
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(["$ARTIFACT_SYNC_CONFIG (not set)", *(str(place) for place in places)])
    raise ConfigError(f"there is no configuration; looked at {looked}", hint=without)

"""What the `job` commands act on: which GitLab, which project, which job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from artifact_sync import config
from artifact_sync.app import Operating
from artifact_sync.cli.options import config_option, load_settings
from artifact_sync.config import Settings
from artifact_sync.errors import UsageError
from artifact_sync.gitlab import TokenKind

__all__ = ["Gitlab", "gitlab_options", "project_argument", "project_of", "yes_option"]

R = TypeVar("R")

_WITHOUT = "Write a configuration, name one with --config, or do without: add --url https://gitlab.example.com"

project_argument = click.argument("project", metavar="PROJECT")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask before it is done.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gitlab:
    """Which GitLab, and the token for it."""

    config_path: Path | None
    url: str | None
    token_file: str | None
    token_env: str | None
    token_kind: str | None
    no_token: bool

    def settings(self) -> Settings:
        """Of a configuration, or of the options. Raises UsageError for options that exclude each other, ConfigError."""
        named = [option for option, value in self._sources.items() if value]
        if self.url is None:
            if named:
                raise UsageError(
                    f"{', '.join(named)} cannot stand without --url",
                    hint="A configuration says which token is used; add --url, or leave them out.",
                )
            return load_settings(self.config_path, without=_WITHOUT)
        if self.config_path is not None:
            raise UsageError("--url and --config exclude each other", hint="Leave one out.")
        if len(sources := [name for name in named if name != "--token-kind"]) > 1:
            raise UsageError(f"{' and '.join(sources)} exclude each other", hint="Name one source of the token.")
        in_a_job = TokenKind(self.token_kind or TokenKind.PRIVATE) is TokenKind.JOB and not self.token_file
        return config.quick(
            url=self.url,
            projects=["**"],
            into="mirror",
            token_file=self.token_file,
            token_env=self.token_env or ("CI_JOB_TOKEN" if in_a_job else None),
            token_kind=self.token_kind,
            no_token=self.no_token,
        )

    @property
    def _sources(self) -> dict[str, object]:
        return {
            "--token-file": self.token_file,
            "--token-env": self.token_env,
            "--no-token": self.no_token,
            "--token-kind": self.token_kind,
        }


_OPTIONS = (
    config_option,
    click.option("--url", help="GitLab's address, in place of a configuration: https://gitlab.example.com"),
    click.option("--token-file", metavar="FILE", help="With --url: file with the token."),
    click.option(
        "--token-env",
        metavar="NAME",
        help="With --url: variable with the token. Default: GITLAB_TOKEN; of --token-kind job: CI_JOB_TOKEN.",
    ),
    click.option(
        "--token-kind",
        type=click.Choice(["private", "bearer", "job"]),
        help="With --url: private (default), bearer (OAuth), job (CI_JOB_TOKEN).",
    ),
    click.option("--no-token", is_flag=True, help="With --url: ask without a token."),
)


def gitlab_options(command: Callable[..., R]) -> Callable[..., R]:
    """The options of every `job` command, gathered in one argument ``gitlab``."""

    @wraps(command)
    def gathered(*args: Any, **options: Any) -> R:
        chosen = {name: options.pop(name) for name in Gitlab.__slots__}
        return command(*args, gitlab=Gitlab(**chosen), **options)

    wrapped: Callable[..., R] = gathered
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


async def project_of(operating: Operating, named: str | int, settings: Settings) -> int:
    """The number of the project. Raises UsageError where only a number will do, and what Remote.project raises."""
    if isinstance(named, int) or named.isdecimal():
        return int(named)
    if TokenKind(settings.gitlab.token.kind) is TokenKind.JOB:
        # lib/api/projects.rb does not let one in.
        raise UsageError(
            f"{named}: a job token cannot look a project up by its path",
            hint="Write its number, which is in $CI_PROJECT_ID.",
        )
    return (await operating.remote.project(named)).id

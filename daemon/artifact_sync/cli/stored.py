"""Settings for looking at a store that was filled without a configuration: by its folder alone."""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from artifact_sync import app, config
from artifact_sync.cli.options import Selection, load_settings
from artifact_sync.errors import UsageError

__all__ = ["reading_settings", "store_option"]

_NAME_ONE = (
    "Write a configuration (docs: config/ has examples), name one with --config, or name a folder that a line without any has"
    " filled (artifact-sync sync --url ... --into ./mirror): --store ./mirror"
)

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="In place of a configuration: the folder that `sync --url ... --into DIR` has filled.",
)


def reading_settings(
    store: Path | None, config_path: Path | None, selection: Selection | None = None
) -> config.Settings:
    """The settings for a command that only reads: of the store's own state, or as ``load_settings`` has them.

    Raises:
        UsageError: options that exclude each other, or no state beside the folder.
        ConfigError: no configuration is found, or it is wrong.
        StateError: the state cannot be read.
    """
    if store is None and selection is not None and selection.into and selection.url is None:
        raise UsageError(
            "--into cannot stand without --url",
            hint=f"To look at a folder that is filled already: --store {selection.into}",
        )
    if store is None:
        return load_settings(config_path, selection, without=_NAME_ONE)
    others = (*(("--config",) if config_path is not None else ()), *(selection.used if selection else ()))
    if others:
        raise UsageError(
            f"--store and {', '.join(others)} exclude each other",
            hint="A store's own state says what is in it; leave one out.",
        )
    state = config.state_of_its_own(store)
    if not state.exists():
        raise UsageError(
            f"--store: there is no {state} beside {store}",
            hint="Name the folder that `sync --url ... --into DIR` has filled; one that belongs to a configuration is looked at"
            " with --config.",
        )
    owners = anyio.run(app.owners_of, state)
    if "gitlab" not in owners:
        raise UsageError(
            f"--store: {state} is of no GitLab yet", hint="Nothing was mirrored with it: run the sync first."
        )
    # Which jobs were asked for is not written down. Nothing is asked of GitLab, so that it needs no token.
    return config.quick(url=owners["gitlab"], projects=["**"], into=store, no_token=True)

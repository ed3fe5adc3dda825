"""`artifact-sync config`: the JSON Schema, and the configuration in effect."""

from __future__ import annotations

import json
from pathlib import Path

import click
import yaml

from artifact_sync import config
from artifact_sync.cli.options import config_option, json_option, load_settings

__all__ = ["command"]


@click.group("config")
def command() -> None:
    """The configuration: its schema, and what is in effect."""


@command.command("schema")
def _schema() -> None:
    """Print the JSON Schema, for editors and other checks."""
    print(config.schema_text(), end="")


@command.command("show")
@config_option
@json_option
def _show(config_path: Path | None, *, as_json: bool) -> None:
    """Print every key with the value in effect. Secrets are not in it, only where they are read from."""
    effective = load_settings(config_path).effective()
    if as_json:
        print(json.dumps(effective))
    else:
        print(yaml.safe_dump(effective, sort_keys=False, allow_unicode=True), end="")

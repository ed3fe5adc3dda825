"""`artifact-sync config`: the JSON Schema, and the configuration in effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from artifact_sync import config
from artifact_sync.cli.options import config_option, json_option, load_settings
from artifact_sync.config.unbuilt import UNBUILT

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
    """Print every key with the value in effect. Secrets are not in it, only where they are read from.

    A key whose effect is not built yet is marked as such, and has the value that asks for nothing.
    """
    effective = load_settings(config_path).effective()
    if as_json:
        print(json.dumps(effective))
    else:
        print(_marked(yaml.safe_dump(effective, sort_keys=False, allow_unicode=True)), end="")


def _marked(text: str) -> str:
    """The YAML with a comment behind each key that has no effect yet."""
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for row in UNBUILT:
        for key in _keys(root, row.path):
            line = key.start_mark.line
            lines[line] += f"  # {row.what} are not built yet"
    return "\n".join(lines) + "\n"


def _keys(node: Any, path: tuple[str, ...], key: Any = None) -> Iterator[Any]:
    """The keys at the path's places. A path that ends at the items of a list is about some values, not about a key."""
    if not path:
        if key is not None:
            yield key
    elif path[0] == "*":
        for item in node.value if isinstance(node, yaml.SequenceNode) else ():
            yield from _keys(item, path[1:])
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == path[0]:
                yield from _keys(value, path[1:], name)

"""A faulty configuration without its faults, so that the rest of it can be judged in the same pass."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from artifact_sync.config.problems import KeyPath

__all__ = ["mended"]

_GONE = object()


def mended(data: Any, faulty: Iterable[KeyPath]) -> Any:
    """A copy without what stands at the faulty paths, and with stand-ins for what is required. Never used to run."""
    whole = copy.deepcopy(data) if isinstance(data, dict) else {}
    for path in faulty:
        _drop(whole, path)
    whole = _without_gaps(whole)
    _section(whole, "gitlab").setdefault("url", "https://gitlab.invalid")
    _section(whole, "store")
    rules = whole.get("rules")
    whole["rules"] = [_rule(rule, index) for index, rule in enumerate(rules or [None])]
    return whole


def _drop(data: Any, path: KeyPath) -> None:
    for part in path[:-1]:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    if isinstance(data, dict):
        data.pop(path[-1] if path else None, None)
    elif isinstance(data, list) and isinstance(path[-1], int):
        data[path[-1]] = _GONE


def _without_gaps(data: Any, *, top: bool = True) -> Any:
    """Lists close up, but for the list of rules: faults name rules by their index."""
    if isinstance(data, dict):
        return {
            key: _filled(item) if top and key == "rules" else _without_gaps(item, top=False)
            for key, item in data.items()
        }
    if isinstance(data, list):
        return [_without_gaps(item, top=False) for item in data if item is not _GONE]
    return data


def _filled(rules: Any) -> Any:
    if not isinstance(rules, list):
        return None
    return [None if rule is _GONE else _without_gaps(rule, top=False) for rule in rules]


def _section(whole: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(whole.get(name), dict):
        whole[name] = {}
    section: dict[str, Any] = whole[name]
    return section


def _rule(rule: Any, index: int) -> dict[str, Any]:
    fields = rule if isinstance(rule, dict) else {}
    return {
        **fields,
        "name": fields.get("name", f"nameless rule {index}"),
        "projects": fields.get("projects") or ["none"],
    }

"""What a running daemon takes over of a new configuration at once, and what of it waits for the next start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from artifact_sync.config.checks import contradictions
from artifact_sync.config.keys import Section
from artifact_sync.config.sections import Secret
from artifact_sync.config.settings import Settings

__all__ = ["Change", "change"]

_Path = tuple[str, ...]

#: Sections and keys that a running daemon takes over. Everything else waits: a key that is new here, too.
_AT_ONCE: tuple[_Path, ...] = (
    ("rules",),
    ("poll",),
    ("downloads",),
    ("retention",),
    ("hooks",),
    ("log",),
    ("gitlab", "token"),
    ("gitlab", "keep_token"),
    ("gitlab", "requests", "per_minute"),
    ("gitlab", "requests", "keep_share"),
    ("gitlab", "requests", "concurrency"),
    ("server", "tokens"),
    ("server", "read_through"),
)
#: Where the first waits, all of its section does. A token is for the address it was written beside, and who may read without
#: one is judged by where it is listened: neither half holds without the other.
_TOGETHER: tuple[_Path, ...] = (("gitlab", "url"), ("gitlab", "proxy"), ("server", "listen"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From one configuration to another. Keys are written as in the file, ``downloads.concurrency``."""

    #: What is in effect from now on.
    effective: Settings
    #: Keys that changed and are in effect.
    applied: tuple[str, ...]
    #: Keys that changed and take effect at the next start.
    waiting: tuple[str, ...]


def change(old: Settings, new: Settings) -> Change:
    """What a daemon that runs with ``old`` makes of ``new``, which is right in itself.

    Where what can be taken over would contradict what stays (``after.delete_remote`` without the token that waits), nothing is.
    """
    different = tuple(_different(old, new))
    # The section of each key of _TOGETHER that differs.
    held = {path[0] for path in different if path in _TOGETHER}
    waiting = tuple(path for path in different if path[0] in held or not _at_once(path))
    effective = new
    for path in waiting:
        effective = _with(effective, path, _value(old, path))
    if any(True for _ in contradictions(effective)):
        effective, waiting = old, different
    return Change(
        effective=effective,
        applied=tuple(".".join(path) for path in different if path not in waiting),
        waiting=tuple(".".join(path) for path in waiting),
    )


def _at_once(path: _Path) -> bool:
    return any(path[: len(known)] == known for known in _AT_ONCE)


def _different(old: Section, new: Section, above: _Path = ()) -> Iterator[_Path]:
    for name in type(new).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        # A secret is one thing: where it is read from.
        if isinstance(before, Section) and isinstance(after, Section) and not isinstance(after, Secret):
            yield from _different(before, after, (*above, name))
        else:
            yield (*above, name)


def _value(settings: Section, path: _Path) -> Any:
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def _with(section: Any, path: _Path, value: Any) -> Any:
    name, *rest = path
    inner = _with(getattr(section, name), tuple(rest), value) if rest else value
    update: Mapping[str, Any] = {name: inner}
    return section.model_copy(update=update)

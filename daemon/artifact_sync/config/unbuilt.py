"""Keys that are parsed and validated, but whose effect is not built yet.

Such a key is refused unless it asks for nothing (its inert value): it is never silently ignored. Where it is absent, the
inert value is in effect, whatever default is announced for the time when it is built. To build one, delete its line.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from artifact_sync.config.problems import Fault, KeyPath, within

__all__ = ["UNBUILT", "Unbuilt", "blank", "refused", "with_inert_values"]


class _Absent:
    """The inert value of a key that asks for something whatever its value."""


_ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A key without effect. ``*`` in the path stands for every index; ``inert`` is as written in the file.

    ``what`` is a plural: it "are not built yet".
    """

    path: tuple[str, ...]
    what: str
    inert: Any = _ABSENT


#: One line per key.
UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt(("store", "url"), "object stores", None),
    Unbuilt(("state", "url"), "states in PostgreSQL", None),
)


def refused(data: Any, faulty: Iterable[KeyPath]) -> Iterator[Fault]:
    """A fault for every such key that asks for something. What is wrong in itself (``faulty``) is not reported again."""
    known = tuple(faulty)
    for row in UNBUILT:
        for path, value in _find(data, row.path):
            if not within(path, known) and value != row.inert:
                yield Fault(path=path, what=f"{row.what} are not built yet", cure=_cure(row))


def with_inert_values(data: Any) -> Any:
    """A copy in which every absent key that has an inert value has it."""
    filled = copy.deepcopy(data)
    for row in UNBUILT:
        if not isinstance(row.inert, _Absent):
            _fill(filled, row.path, row.inert)
    return filled


def blank(effective: dict[str, Any]) -> dict[str, Any]:
    """A copy in which the keys that cannot be written at all are null: nothing happens because of them."""
    shown = copy.deepcopy(effective)
    for row in UNBUILT:
        if isinstance(row.inert, _Absent) and "*" not in row.path:
            section = shown[row.path[0]]
            section[row.path[1]] = None
    return shown


def _cure(row: Unbuilt) -> str:
    if isinstance(row.inert, _Absent):
        return "remove the key"
    words = {None: "null", False: "false"}
    written = "[]" if row.inert == [] else words.get(row.inert, str(row.inert))
    return f"remove the key or write {written}"


def _find(data: Any, path: tuple[str, ...], above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every place in the data that the path names, with its value."""
    if not path:
        yield above, data
    elif path[0] == "*":
        for index, item in enumerate(data if isinstance(data, list) else ()):
            yield from _find(item, path[1:], (*above, index))
    elif isinstance(data, dict) and path[0] in data:
        yield from _find(data[path[0]], path[1:], (*above, path[0]))


def _fill(data: Any, path: tuple[str, ...], inert: Any) -> None:
    if path[0] == "*":
        for item in data if isinstance(data, list) else ():
            _fill(item, path[1:], inert)
    elif not isinstance(data, dict):
        return
    elif len(path) == 1:
        data.setdefault(path[0], copy.copy(inert))
    else:
        if data.get(path[0]) is None and path[0] != "rules":
            data[path[0]] = {}
        _fill(data.get(path[0]), path[1:], inert)

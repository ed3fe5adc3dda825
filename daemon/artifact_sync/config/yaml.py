"""Strict YAML: plain nested data with the position of every key and value, or every reason why not.

Only what a configuration needs is accepted. Aliases, anchors, merge keys and tags are refused because they can make a
small file enormous once it is walked (a "billion laughs"); duplicate keys because all but one would be ignored; more
than one document because the rest would be. Depth, nodes and size are bounded before anything is built, by working on
the parser's events and never on its composed tree.

Plain scalars follow a part of the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema): ``true`` and
``false``, ``null``, ``~`` and nothing, decimal integers and floats. ``no``, ``010``, ``1:30`` and dates stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from artifact_sync.config.problems import ConfigProblems, KeyPath, Problem, render_path
from artifact_sync.config.yaml_words import in_our_words

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Document", "Place", "Plain", "read"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 20_000

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})?(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,3})?")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Place(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the file says. ``problems`` are those that leave the rest readable; nothing below ``broken`` is meaningful."""

    data: Plain
    keys: dict[KeyPath, Place]
    values: dict[KeyPath, Place]
    problems: tuple[Problem, ...]
    broken: frozenset[KeyPath]


def read(text: str, name: str) -> Document:
    """The document in ``text``; ``name`` is the file in problems.

    Raises:
        ConfigProblems: it is no YAML, too large or too deep, so nothing else can be said about it.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise _fatal(name, Place(1, 1), "the file is larger than 1 MiB", "write fewer rules; globs cover many projects")
    if text.startswith("\ufeff"):
        raise _fatal(name, Place(1, 1), "the file begins with a byte order mark", "save it as UTF-8 without one")
    return _Builder(name, text).document()


def _fatal(name: str, place: Place, what: str, cure: str) -> ConfigProblems:
    return ConfigProblems([Problem(file=name, line=place.line, column=place.column, what=what, cure=cure)])


@dataclass(slots=True)
class _Builder:
    """One pass over the events of one text."""

    name: str
    text: str
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)
    nodes: int = 0

    def document(self) -> Document:
        events = self._events()
        data: Plain = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    what = "a second document begins here, and would be ignored"
                    raise _fatal(self.name, _place(event), what, "keep one document and remove the line `---`")
            elif isinstance(event, yaml.NodeEvent):
                data = self._node(event, events, ())
        return Document(
            data=data,
            keys=self.keys,
            values=self.values,
            problems=tuple(self.problems),
            broken=frozenset(self.broken),
        )

    def _events(self) -> Iterator[yaml.Event]:
        """The parser's events; whatever it stumbles over becomes one problem in plain words."""
        try:
            yield from yaml.parse(self.text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            place = _place_at(self.text, error.position)
            what = "a control character, or one that is no character at all"
            raise _fatal(self.name, place, what, "remove it, or write it as an escape in double quotes") from None
        except yaml.MarkedYAMLError as error:
            what, cure = in_our_words(error.problem or "")
            # What is never closed is found where it was opened, not where the text ends.
            marks = (
                (error.context_mark, error.problem_mark)
                if "close" in cure
                else (error.problem_mark, error.context_mark)
            )
            mark = marks[0] or marks[1]
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            raise _fatal(self.name, place, what, cure) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            # PyYAML lets chr() and int() of an absurd escape or %YAML directive through.
            what, cure = in_our_words("")
            raise _fatal(self.name, Place(1, 1), what, cure) from None

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: KeyPath) -> Plain:
        place = _place(event)
        self.values[path] = place
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _fatal(
                self.name, place, f"more than {MAX_NODES} values", "write fewer rules; globs cover many projects"
            )
        if len(path) > MAX_DEPTH:
            raise _fatal(self.name, place, f"nested deeper than {MAX_DEPTH} levels", "remove the extra levels")
        if isinstance(event, yaml.AliasEvent):
            self._problem(path, place, "an alias (*name) is not accepted", "write the value out here")
            self.broken.add(path)
            return None
        self._refuse_decoration(event, path, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        assert isinstance(event, yaml.ScalarEvent)  # noqa: S101 - the four node events are all there are
        return self._scalar(event, path, place)

    def _refuse_decoration(self, event: yaml.Event, path: KeyPath, place: Place) -> None:
        if getattr(event, "anchor", None) is not None:
            self._problem(
                path, place, "an anchor (&name) is not accepted", "remove it and write the value where it is needed"
            )
        if getattr(event, "tag", None) is not None:
            self._problem(
                path, place, "a tag (!name) is not accepted", "remove it; put text in quotes where it must be text"
            )
            self.broken.add(path)

    def _sequence(self, events: Iterator[yaml.Event], path: KeyPath) -> Plain:
        items: list[Plain] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[yaml.Event], path: KeyPath) -> Plain:
        mapping: dict[str, Plain] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            place = _place(event)
            if key in mapping:
                # The value is still walked, so that the limits hold and its own problems are found, and then dropped.
                first = self.keys[*path, key]
                self._problem((*path, key), place, f"written twice; first in line {first.line}", "keep one of them")
                hidden = _Builder(self.name, self.text, nodes=self.nodes)
                hidden._node(next(events), events, (*path, key))
                self.nodes = hidden.nodes
                continue
            self.keys[*path, key] = place
            mapping[key] = self._node(next(events), events, (*path, key))
            if key == "<<":
                self._problem((*path, key), place, "a merge key (<<) is not accepted", "write the keys out here")
                self.broken.add((*path, key))
        return mapping

    def _key(self, event: yaml.Event, path: KeyPath) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_decoration(event, path, _place(event))
            self.nodes += 1
            return event.value if isinstance(self._text(event, path, _place(event)), str) else ""
        what, cure = "a key must be plain text", "write `key: value`"
        raise _fatal(self.name, _place(event), what, cure)

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath, place: Place) -> Plain:
        text = self._text(event, path, place)
        return _typed(text) if event.style is None and text is not None else text

    def _text(self, event: yaml.ScalarEvent, path: KeyPath, place: Place) -> str | None:
        value: str = event.value
        if _SURROGATE.search(value) or "\x00" in value:
            self._problem(path, place, "an escape that gives no character", "remove it")
            self.broken.add(path)
            return None
        return value

    def _problem(self, path: KeyPath, place: Place, what: str, cure: str) -> None:
        self.problems.append(
            Problem(file=self.name, line=place.line, column=place.column, path=render_path(path), what=what, cure=cure)
        )


def _typed(text: str) -> Plain:
    if text in {"", "~", "null"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if any(c.isdigit() for c in text) and _FLOAT.fullmatch(text) and text[0] not in "eE":
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None  # noqa: S101 - every event of a text has one
    return Place(mark.line + 1, mark.column + 1)


def _place_at(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)

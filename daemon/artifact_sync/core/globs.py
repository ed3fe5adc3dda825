"""Globs as RE2 source."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["PatternError", "set_end", "translate"]

_SPECIAL = frozenset("\\.+*?()[]{}|^$")
_ANY = r"[\s\S]"
_NOT_SLASH = "[^/]"
#: RE2 knows no empty set.
_NOTHING = r"[^\x00-\x{10FFFF}]"
_SLASH = ord("/")


class PatternError(ValueError):
    """The pattern cannot be used; the text says why and what to write."""


class _Kind(Enum):
    TEXT = "text"
    OPEN = "{"
    CLOSE = "}"
    COMMA = ","


class _Token(NamedTuple):
    source: str
    kind: _Kind = _Kind.TEXT


_STRUCTURE = {kind.value: kind for kind in _Kind if kind is not _Kind.TEXT}
_ALTERNATION = {_Kind.OPEN: "(?:", _Kind.CLOSE: ")", _Kind.COMMA: "|"}


def translate(glob: str, *, separator: bool) -> str:
    """The glob as RE2 source, to be matched in full.

    With ``separator`` nothing but ``**`` and a slash itself matches ``/``; ``**/`` also stands for no folder at all.
    ``[abc]``, ``[!a-z]``, ``{one,two}`` and a backslash before any character are understood; an opening bracket or brace
    without its closing one is itself. Raises PatternError for a set that runs backwards.
    """
    tokens = _tokens(glob, separator=separator)
    paired = _pairs(tokens)
    depth = 0
    out = []
    for at, token in enumerate(tokens):
        means_something = at in paired or (token.kind is _Kind.COMMA and depth > 0)
        out.append(_ALTERNATION[token.kind] if means_something else token.source)
        if at in paired:
            depth += 1 if token.kind is _Kind.OPEN else -1
    return "".join(out)


def _pairs(tokens: list[_Token]) -> set[int]:
    """Where the braces stand that have a partner."""
    opened: list[int] = []
    paired: set[int] = set()
    for at, token in enumerate(tokens):
        if token.kind is _Kind.OPEN:
            opened.append(at)
        elif token.kind is _Kind.CLOSE and opened:
            paired |= {opened.pop(), at}
    return paired


def _tokens(glob: str, *, separator: bool) -> list[_Token]:
    one = _NOT_SLASH if separator else _ANY
    tokens: list[_Token] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        if char == "\\" and at + 1 < len(glob):
            token, at = _Token(_literal(glob[at + 1])), at + 2
        elif char == "*":
            source, at = _stars(glob, at, one)
            token = _Token(source)
        elif char == "?":
            token, at = _Token(one), at + 1
        elif char == "[" and (ends := set_end(glob, at)):
            token, at = _Token(_set(glob[at + 1 : ends], separator=separator)), ends + 1
        else:
            token, at = _Token(_literal(char), _STRUCTURE.get(char, _Kind.TEXT)), at + 1
        tokens.append(token)
    return tokens


def _stars(glob: str, begins: int, one: str) -> tuple[str, int]:
    """The source of a run of stars, and where the glob goes on."""
    at = begins
    while glob.startswith("*", at):
        at += 1
    if at - begins == 1:
        return f"{one}*", at
    if glob.startswith("/", at) and (begins == 0 or glob[begins - 1] == "/"):
        return f"(?:{_ANY}*/)?", at + 1
    return f"{_ANY}*", at


def set_end(glob: str, begins: int) -> int | None:
    """Where the set that begins here ends. A bracket that stands first in it is a member."""
    at = begins + 1 + glob.startswith(("!", "^"), begins + 1)
    first = at
    while at < len(glob):
        if glob[at] == "]" and at > first:
            return at
        at += 2 if glob[at] == "\\" else 1
    return None


def _set(inside: str, *, separator: bool) -> str:
    negated = inside.startswith(("!", "^"))
    spans = _spans(inside[1:] if negated else inside)
    if separator:
        spans = [*spans, (_SLASH, _SLASH)] if negated else [part for span in spans for part in _without_slash(span)]
    if not spans:
        return _NOTHING
    members = "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in spans)
    return f"[{'^' if negated else ''}{members}]"


def _spans(members: str) -> list[tuple[int, int]]:
    """The code points of a set's members, from and to."""
    chars: list[tuple[str, bool]] = []
    at = 0
    while at < len(members):
        escaped = members[at] == "\\" and at + 1 < len(members)
        at += escaped
        chars.append((members[at], escaped))
        at += 1
    spans = []
    at = 0
    while at < len(chars):
        low = high = chars[at][0]
        if chars[at + 1 : at + 2] == [("-", False)] and at + 2 < len(chars):
            high = chars[at + 2][0]
            at += 2
        if high < low:
            raise PatternError(f"the set [{members}] runs backwards from {low} to {high}; write {high}-{low}")
        spans.append((ord(low), ord(high)))
        at += 1
    return spans


def _without_slash(span: tuple[int, int]) -> list[tuple[int, int]]:
    low, high = span
    if not low <= _SLASH <= high:
        return [span]
    return [part for part in ((low, _SLASH - 1), (_SLASH + 1, high)) if part[0] <= part[1]]


def _literal(char: str) -> str:
    return f"\\{char}" if char in _SPECIAL else char

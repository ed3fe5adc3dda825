"""Patterns over names that anybody may choose: globs, and ``/.../`` for regular expressions.

Both run on RE2, whose time is linear in the subject whatever the pattern: ref and job names come from whoever may push,
and Python's own ``re`` would let ``^(a+)+$`` hold the interpreter for minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

__all__ = ["ANY", "MAX_SUBJECT", "Pattern", "PatternError", "PatternList"]

#: Longest name that is matched, in characters; a longer one matches nothing.
MAX_SUBJECT = 65_536

_SPECIAL = frozenset("\\.+*?()[]{}|^$")
_UNSUPPORTED = (
    (("(?=", "(?!"), "lookahead", "use a second pattern with ! in front instead"),
    (("(?<=", "(?<!"), "lookbehind", "use a second pattern with ! in front instead"),
    (("*+", "++", "?+", "}+"), "a possessive quantifier", "drop the last +"),
    (("\\Z",), "\\Z", "write \\z or $"),
    (("(?x", "(?P="), "this group", "write the expression without it"),
)


class PatternError(ValueError):
    """The pattern cannot be used; the text says why and what to write."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled pattern. Equal when written equally."""

    text: str
    _regex: Any = field(compare=False, repr=False)
    _anchored: bool = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, *, separator: bool) -> Pattern:
        """A glob, or RE2 between slashes (unanchored).

        With ``separator`` the wildcards stop at ``/`` and ``**`` crosses it: for paths. Raises PatternError.
        """
        if not text:
            raise PatternError("an empty pattern")
        if len(text) > 1 and text.startswith("/") and text.endswith("/"):
            return cls(text, _compile(text[1:-1], text), _anchored=False)
        return cls(text, _compile(translate(text, separator=separator), text), _anchored=True)

    @property
    def literal(self) -> bool:
        """Whether it names exactly one subject."""
        return self._anchored and not any(c in "*?[]{}\\" for c in self.text)

    def matches(self, subject: str) -> bool:
        """Whether the subject matches; one longer than ``MAX_SUBJECT`` never does."""
        if len(subject) > MAX_SUBJECT:
            return False
        # A lone surrogate cannot be UTF-8, which RE2 reads; JSON can carry one.
        clean = subject.encode("utf-8", "replace").decode()
        found = self._regex.fullmatch(clean) if self._anchored else self._regex.search(clean)
        return found is not None


@dataclass(frozen=True, slots=True)
class PatternList:
    """Patterns of which one is to match, less those written with ``!``."""

    wanted: tuple[Pattern, ...] = ()
    excluded: tuple[Pattern, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], *, separator: bool) -> PatternList:
        """From the list as written. Raises PatternError."""
        written = tuple(texts)
        return cls(
            tuple(Pattern.parse(t, separator=separator) for t in written if not t.startswith("!")),
            tuple(Pattern.parse(t[1:], separator=separator) for t in written if t.startswith("!")),
        )

    def __str__(self) -> str:
        shown = [p.text for p in self.wanted] + [f"!{p.text}" for p in self.excluded]
        return " ".join(shown) or "any"

    def judge(self, subject: str) -> tuple[bool, str]:
        """Whether the list holds for the subject, and the pattern or phrase that decided."""
        if len(subject) > MAX_SUBJECT:
            return not self.wanted and not self.excluded, f"longer than {MAX_SUBJECT} characters"
        for pattern in self.excluded:
            if pattern.matches(subject):
                return False, f"!{pattern.text}"
        for pattern in self.wanted:
            if pattern.matches(subject):
                return True, pattern.text
        return (False, "no pattern matches") if self.wanted else (True, "anything")


#: The list that asks nothing.
ANY = PatternList()


def translate(glob: str, *, separator: bool) -> str:
    """The glob as RE2 source.

    ``*`` and ``?`` match within one path component when ``separator``; ``**`` crosses components, and ``**/`` also
    stands for none. ``[abc]``, ``[!a-z]``, ``{one,two}`` and a backslash before a special character are understood; an
    opening bracket without its closing one is itself.
    """
    return _Translator(glob, "[^/]" if separator else r"[\s\S]").run()


class _Translator:
    def __init__(self, glob: str, one: str) -> None:
        self._glob = glob
        self._one = one
        self._at = 0
        self._depth = 0

    def run(self) -> str:
        out: list[str] = []
        while self._at < len(self._glob):
            out.append(self._step())
        return "".join(out)

    def _step(self) -> str:
        glob, at = self._glob, self._at
        char = glob[at]
        self._at += 1
        match char:
            case "\\" if self._at < len(glob):
                self._at += 1
                out = _literal(glob[at + 1])
            case "*":
                out = self._stars()
            case "?":
                out = self._one
            case "[":
                out = self._set()
            case "{" if self._closed_brace(at):
                self._depth += 1
                out = "(?:"
            case "}" if self._depth:
                self._depth -= 1
                out = ")"
            case "," if self._depth:
                out = "|"
            case _:
                out = _literal(char)
        return out

    def _stars(self) -> str:
        begins = self._at - 1
        while self._at < len(self._glob) and self._glob[self._at] == "*":
            self._at += 1
        if self._at - begins == 1:
            return f"{self._one}*"
        at_start = begins == 0 or self._glob[begins - 1] == "/"
        if at_start and self._glob.startswith("/", self._at):
            self._at += 1
            return r"(?:[\s\S]*/)?"
        return r"[\s\S]*"

    def _set(self) -> str:
        negated = self._glob.startswith(("!", "^"), self._at)
        begins = self._at + negated
        ends = self._glob.find("]", begins + 1)
        if ends < 0:
            return _literal("[")
        inside = self._glob[begins:ends]
        self._at = ends + 1
        # Only a dash means something inside; what RE2 would read as more is escaped.
        body = "".join(c if c == "-" or c.isalnum() else rf"\x{{{ord(c):x}}}" for c in inside)
        slash = "/" if negated and self._one == "[^/]" else ""
        return f"[{'^' if negated else ''}{slash}{body}]"

    def _closed_brace(self, at: int) -> bool:
        depth = 0
        for char in self._glob[at:].replace("\\{", "").replace("\\}", ""):
            depth += (char == "{") - (char == "}")
            if depth == 0:
                return True
        return False


def _literal(char: str) -> str:
    return f"\\{char}" if char in _SPECIAL else char


@lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    return re2.compile(source, options)


def _compile(source: str, text: str) -> Any:
    try:
        return _compiled(source)
    except (re2.error, UnicodeEncodeError) as error:
        for marks, name, cure in _UNSUPPORTED:
            if any(mark in source for mark in marks):
                raise PatternError(f"{text}: {name} is not supported by RE2; {cure}") from None
        if any(f"\\{digit}" in source for digit in "123456789"):
            raise PatternError(f"{text}: backreferences are not supported by RE2; spell the alternatives out") from None
        said = error.args[0] if error.args else "not a regular expression"
        said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise PatternError(f"{text}: {said}") from None

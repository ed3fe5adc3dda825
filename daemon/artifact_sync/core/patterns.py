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

from artifact_sync.core.globs import PatternError, translate

__all__ = ["ANY", "MAX_SUBJECT", "Pattern", "PatternError", "PatternList"]

#: Longest name that is matched, in characters; a longer one matches nothing.
MAX_SUBJECT = 65_536
TOO_LONG = f"longer than {MAX_SUBJECT} characters"

#: Bytes that one compiled pattern may take.
_MAX_MEMORY = 8 << 20
#: Answers about names up to this many characters are remembered; the bound keeps hostile names from filling memory.
_REMEMBERED = 256

_WITHOUT = "write a second pattern with ! in front instead"
#: How RE2's complaint begins, what a person calls it, and the cure. https://github.com/google/re2/wiki/Syntax
_UNSUPPORTED = (
    ("invalid perl operator: (?=", "lookahead", _WITHOUT),
    ("invalid perl operator: (?!", "lookahead", _WITHOUT),
    ("invalid perl operator: (?<", "lookbehind", _WITHOUT),
    ("invalid perl operator: (?>", "an atomic group", "write (?: instead of (?>"),
    ("invalid perl operator: (?(", "a conditional", "write both cases as patterns of their own"),
    ("invalid perl operator: (?#", "a comment", "leave it out"),
    ("invalid perl operator: (?x", "the flag x", "leave it and the blanks out"),
    ("invalid perl operator: (?P", "this group", "spell out what it refers to"),
    ("invalid escape sequence: \\Z", "\\Z", "write \\z or $"),
    ("invalid escape sequence: \\k", "a backreference", "spell the alternatives out"),
    *((f"invalid escape sequence: \\{n}", "a backreference", "spell the alternatives out") for n in range(1, 10)),
    ("invalid repetition size: ", "a repetition of more than 1000", "write * or +, or a smaller number"),
    ("pattern too large", "an expression this large", "write a shorter one, with * or + for large repetitions"),
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled pattern. Equal when it matches by the same expression."""

    text: str
    #: Whether only the whole subject counts: a glob.
    anchored: bool
    #: As RE2 reads it.
    source: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, separator: bool) -> Pattern:
        """A glob, or RE2 between slashes (unanchored).

        With ``separator`` the wildcards stop at ``/`` and ``**`` crosses it: for paths. Raises PatternError.
        """
        if not text:
            raise PatternError("an empty pattern")
        expression = len(text) > 1 and text.startswith("/") and text.endswith("/")
        try:
            source = text[1:-1] if expression else translate(text, separator=separator)
            _compiled(source)
        except PatternError as error:
            raise PatternError(f"{text}: {error}") from None
        except UnicodeEncodeError:
            raise PatternError(f"{text!a}: half of a surrogate pair is no character; leave it out") from None
        except re2.error as error:
            raise PatternError(f"{text}: {_explained(error)}") from None
        return cls(text, not expression, source)

    @property
    def literal(self) -> bool:
        """Whether it names exactly one subject."""
        return self.anchored and not any(c in "*?[]{}\\" for c in self.text)

    def matches(self, subject: str) -> bool:
        """Whether the subject matches; one longer than ``MAX_SUBJECT`` never does."""
        if len(subject) <= _REMEMBERED:
            return _remembered(self.source, self.anchored, subject)
        return len(subject) <= MAX_SUBJECT and _found(self.source, self.anchored, subject)


@dataclass(frozen=True, slots=True)
class PatternList:
    """Patterns of which one is to match, less those written with ``!``."""

    wanted: tuple[Pattern, ...] = ()
    excluded: tuple[Pattern, ...] = ()
    #: As a person reads it; ``any`` when it asks nothing.
    text: str = "any"

    @classmethod
    def parse(cls, texts: Iterable[str], *, separator: bool) -> PatternList:
        """From the list as written. Raises PatternError."""
        written = tuple(texts)
        wanted = tuple(Pattern.parse(t, separator=separator) for t in written if not t.startswith("!"))
        excluded = tuple(Pattern.parse(t[1:], separator=separator) for t in written if t.startswith("!"))
        shown = [p.text for p in wanted] + [f"!{p.text}" for p in excluded]
        return cls(wanted, excluded, " ".join(shown) or "any")

    def __str__(self) -> str:
        return self.text

    def exclusion(self, subject: str) -> str | None:
        """The ``!pattern`` that excludes the subject. One too long to be looked at counts as excluded, by a phrase."""
        if self.excluded and len(subject) > MAX_SUBJECT:
            return TOO_LONG
        return next((f"!{pattern.text}" for pattern in self.excluded if pattern.matches(subject)), None)

    def judge(self, subject: str) -> tuple[bool, str]:
        """Whether the list holds for the subject, and the pattern or phrase that decided."""
        if excluding := self.exclusion(subject):
            return False, excluding
        for pattern in self.wanted:
            if pattern.matches(subject):
                return True, pattern.text
        if not self.wanted:
            return True, "anything"
        return False, TOO_LONG if len(subject) > MAX_SUBJECT else "no pattern matches"


#: The list that asks nothing.
ANY = PatternList()


@lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return re2.compile(source, options)


@lru_cache(maxsize=8192)
def _remembered(source: str, anchored: bool, subject: str) -> bool:  # noqa: FBT001 - keywords would slow the cache
    return _found(source, anchored, subject)


def _found(source: str, anchored: bool, subject: str) -> bool:  # noqa: FBT001 - as above
    regex = _compiled(source)
    # A lone surrogate cannot be UTF-8, which RE2 reads; JSON can carry one.
    clean = subject if subject.isascii() else subject.encode("utf-8", "replace").decode()
    return (regex.fullmatch(clean) if anchored else regex.search(clean)) is not None


def _explained(error: re2.error) -> str:
    """RE2's complaint with the construct named as people call it and the cure, where either is known."""
    said = error.args[0].decode(errors="replace")
    for begins, name, cure in _UNSUPPORTED:
        if said.startswith(begins):
            return f"{name} is not supported by RE2; {cure}"
    if said.startswith("bad repetition operator: ") and said.endswith("+"):
        return "a possessive quantifier is not supported by RE2; leave the last + out"
    return str(said)

"""What is wrong with a configuration, where, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from artifact_sync.errors import ConfigError

__all__ = [
    "SHOWN",
    "ConfigProblems",
    "Fault",
    "KeyPath",
    "Problem",
    "Wrong",
    "looks_like_secret",
    "render_path",
    "within",
]

#: A place in the configuration: keys and list indexes from the top.
KeyPath = tuple[str | int, ...]

#: Problems listed in one message; a file with more than this is not read to its end by a person anyway.
SHOWN = 100

#: Values below these keys may be credentials, and so may a key that stands where a value belongs: ``{glpat-...}``.
_SECRET_KEYS = frozenset({"keep_token", "secret", "token", "tokens", "webhook_secret"})
#: GitLab's token prefixes, https://docs.gitlab.com/security/tokens/#token-prefixes
_TOKEN_PREFIX = re.compile(r"(?i)^(gl[a-z]*|whsec|gho|ghp)[-_]")
_PLAIN_KEY = re.compile(r"[A-Za-z<][A-Za-z_<-]{0,30}")
_PLAIN_SECRET_KEY = re.compile(r"[a-z_]{1,16}")


class Wrong(ValueError):
    """A value cannot be used: ``what`` is wrong with it, and the ``cure``, what to write instead."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what = what
        self.cure = cure


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A problem by path alone, before its position in a file or its command-line option is known.

    ``at`` is where a reader should look: at the key or at its value; for a missing key, at
    what should hold it.
    """

    path: KeyPath
    what: str
    cure: str
    at: Literal["key", "value"] = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem with its position. ``line`` and ``column`` count from 1; None where there is no file."""

    file: str
    what: str
    cure: str
    line: int | None = None
    column: int | None = None
    #: The key as a person writes it, ``rules[0].when.refs``; empty for the file as a whole.
    path: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        subject = f" {self.path}:" if self.path else ""
        return f"{place}:{subject} {self.what}; {self.cure}"


class ConfigProblems(ConfigError):
    """A configuration with at least one problem; the message has one line for each, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line or 0, p.column or 0)))
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"{self.problems[0].file}: and {len(self.problems) - SHOWN} more problems")
        several = "Each line says what to write instead; nothing was started." if len(lines) > 1 else ""
        super().__init__("\n".join(lines), hint=several)


def render_path(path: KeyPath) -> str:
    """The path as a person writes it: ``rules[0].when.refs``. A key that could be a credential is not repeated."""
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_showable(part, path[:depth])}" if text else _showable(part, path[:depth])
    return text


def within(path: KeyPath, others: Iterable[KeyPath]) -> bool:
    """Whether the path is one of the others, below one of them, or above one of them."""
    return any(path[: len(other)] == other[: len(path)] for other in others)


def _showable(key: str, above: KeyPath) -> str:
    plain = _PLAIN_SECRET_KEY if _SECRET_KEYS.intersection(above) else _PLAIN_KEY
    return key if plain.fullmatch(key) and not _TOKEN_PREFIX.match(key) else "<key>"


def looks_like_secret(text: str) -> bool:
    """Whether the text has the prefix of a token."""
    return _TOKEN_PREFIX.match(text) is not None

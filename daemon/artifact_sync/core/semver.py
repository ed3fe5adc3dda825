"""Semantic versions of tags, and ranges over them: https://semver.org and npm's notation of ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["SemverError", "SemverRange", "Version"]

_VERSION = re.compile(
    r"v?(?P<major>0|[1-9]\d{0,17})\.(?P<minor>0|[1-9]\d{0,17})(?:\.(?P<patch>0|[1-9]\d{0,17}))?"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_PARTIAL = re.compile(r"v?(\d{1,18})(?:\.(\d{1,18}))?(?:\.(\d{1,18}))?(?:-([0-9A-Za-z.-]+))?", re.ASCII)
_TERM = re.compile(r"(>=|<=|!=|>|<|=|\^|~)?\s*(\S+)")

_Identifier: TypeAlias = tuple[Literal[0], int, str] | tuple[Literal[1], int, str]


class SemverError(ValueError):
    """Not a range of versions; the text says which part."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version, ordered by precedence."""

    major: int
    minor: int
    patch: int
    #: 1 for a release, 0 for a prerelease: those come before it.
    release: int = 1
    pre: tuple[_Identifier, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """From a tag such as ``v1.2.3-rc.1``; None when it is no version."""
        found = _VERSION.fullmatch(text)
        if found is None:
            return None
        return _version(int(found["major"]), int(found["minor"]), int(found["patch"] or 0), found["pre"])

    @property
    def core(self) -> tuple[int, int, int]:
        """Major, minor, patch."""
        return self.major, self.minor, self.patch


@dataclass(frozen=True, slots=True)
class _Bound:
    operator: str
    version: Version

    def holds(self, version: Version) -> bool:
        match self.operator:
            case ">=":
                return version >= self.version
            case ">":
                return version > self.version
            case "<=":
                return version <= self.version
            case "<":
                return version < self.version
            case "!=":
                return version != self.version
        return version == self.version


@dataclass(frozen=True, slots=True)
class SemverRange:
    """Alternatives (``||``), each of bounds that all hold."""

    text: str
    alternatives: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> SemverRange:
        """From ``>=1.2 <3``, ``^1.2 || ~3.4`` and the like. Raises SemverError."""
        if not text.strip():
            raise SemverError("an empty range; write >=0 for every version")
        return cls(text, tuple(_alternative(part) for part in text.split("||")))

    def contains(self, version: Version) -> bool:
        """Whether an alternative holds. A prerelease needs a bound that names a prerelease of the same version."""
        return any(self._holds(bounds, version) for bounds in self.alternatives)

    @staticmethod
    def _holds(bounds: tuple[_Bound, ...], version: Version) -> bool:
        if not all(bound.holds(version) for bound in bounds):
            return False
        return bool(version.release) or any(
            not bound.version.release and bound.version.pre and bound.version.core == version.core for bound in bounds
        )


def _alternative(text: str) -> tuple[_Bound, ...]:
    joined = re.sub(r"(>=|<=|!=|>|<|=|\^|~)\s+", r"\1", text.strip())
    bounds = tuple(bound for term in re.split(r"[\s,]+", joined) if term for bound in _term(term))
    if not bounds:
        raise SemverError("an alternative of || is empty")
    return bounds


def _term(term: str) -> tuple[_Bound, ...]:
    found = _TERM.fullmatch(term)
    partial = _PARTIAL.fullmatch(found[2]) if found else None
    if found is None or partial is None:
        raise SemverError(f"{term!r} is not a bound such as >=1.2, <3, ^1.2 or ~1.2.3")
    operator = found[1] or "="
    parts = [int(p) for p in partial.groups()[:3] if p is not None]
    if partial[4] and len(parts) < 3:  # noqa: PLR2004 - major, minor, patch
        raise SemverError(f"{term!r}: a prerelease needs all three numbers")
    major, minor, patch = [*parts, 0, 0][:3]
    low = _version(major, minor, patch, partial[4])
    match operator:
        case "^":
            # Up to the next change of the first number that is not 0.
            width = next((i for i, p in enumerate(parts) if p), len(parts) - 1) + 1
        case "~":
            width = min(2, len(parts))
        case "=" | ">" | "<=" | "!=" if len(parts) < 3:  # noqa: PLR2004 - =1.2 means any 1.2.x
            width = len(parts)
        case _:
            return (_Bound(operator, low),)
    high = _next(parts, width)
    match operator:
        case ">":
            return (_Bound(">=", high),)
        case "<=":
            return (_Bound("<", high),)
        case "!=":
            raise SemverError(f"{term!r}: != needs all three numbers")
    return _Bound(">=", low), _Bound("<", high)


def _next(parts: list[int], width: int) -> Version:
    """The least version, prereleases included, behind all that begin with the first ``width`` numbers."""
    numbers = [*parts, 0, 0][:3]
    raised = [*numbers[: width - 1], numbers[width - 1] + 1, 0, 0][:3]
    return Version(raised[0], raised[1], raised[2], release=0)


def _version(major: int, minor: int, patch: int, pre: str | None) -> Version:
    if not pre:
        return Version(major, minor, patch)
    return Version(major, minor, patch, release=0, pre=tuple(_identifier(part) for part in pre.split(".")))


def _identifier(part: str) -> _Identifier:
    """Numbers come before words, and compare as numbers."""
    return (0, int(part), "") if part.isascii() and part.isdigit() and len(part) < 19 else (1, 0, part)  # noqa: PLR2004

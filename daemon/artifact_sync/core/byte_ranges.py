"""Which part of a representation a request asks for, and whether it asks for any: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Part", "Validators", "Verdict", "judge"]

#: Digits of a position: more than any file has.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a request says about the copy that its sender has; None where it says nothing."""

    range: str | None = None
    if_range: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.last - self.first + 1


class Verdict(Enum):
    """What is answered, where it is no part."""

    WHOLE = 200
    UNCHANGED = 304
    CHANGED = 412
    OUTSIDE = 416


def judge(asked: Validators, *, etag: str, modified: str, size: int) -> Part | Verdict:
    """What a GET or HEAD is answered with. ``etag`` is strong and has its quotes, ``modified`` is a Last-Modified.

    Preconditions come first (section 13.2.2). A Range is ignored where it cannot be understood, where it asks for several
    parts (section 14.2 allows it), and where If-Range names anything but exactly this representation: who joins parts of
    two of them has a file that never was.
    """
    if asked.if_match is not None and not _names(asked.if_match, etag, weak=False):
        return Verdict.CHANGED
    if asked.if_none_match is not None and _names(asked.if_none_match, etag, weak=True):
        return Verdict.UNCHANGED
    if asked.range is None or (asked.if_range is not None and asked.if_range.strip() not in {etag, modified}):
        return Verdict.WHOLE
    found = _RANGE.fullmatch(asked.range.strip())
    if found is None or not (found[1] or found[2]):
        return Verdict.WHOLE
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), int(found[2]) if found[2] else size - 1
        if found[2] and last < first:
            return Verdict.WHOLE
        last = min(last, size - 1)
    return Part(first, last) if first <= last else Verdict.OUTSIDE


def _names(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(header))

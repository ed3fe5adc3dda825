"""Faults by script: which requests they hit, when, and what happens to them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from artifact_sync.simulator.seen import Origin

__all__ = [
    "Action",
    "Answer",
    "Corrupt",
    "Cut",
    "Empty",
    "Fault",
    "Faults",
    "Gzip",
    "Hangup",
    "IgnoreRange",
    "OtherETag",
    "Redirect",
    "SignIn",
    "SignInPage",
    "Stall",
    "Trickle",
    "Truncate",
    "WrongRange",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Another answer instead of the real one."""

    status: int
    body: str | bytes = ""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """A redirect to anywhere."""

    to: str
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """The connection is closed before any header; ``reset`` sends RST."""

    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The connection ends after this many body bytes, though the headers promise more; ``reset`` sends RST."""

    after: int
    reset: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Silence: before the headers, or after this many body bytes."""

    seconds: float
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """Fewer bytes than there are, in an answer that is well-formed in itself."""

    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt:
    """As many bytes as announced, one of them wrong."""

    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle:
    """A few bytes at a time, without end in sight."""

    size: int = 1
    seconds: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """200 and not one byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip:
    """The body compressed, with Content-Encoding, though nobody asked for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRange:
    """200 with everything, as if no range had been asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRange:
    """206 that says and sends another range, this many bytes further."""

    shift: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherETag:
    """The real bytes under another ETag, as of a file that was replaced meanwhile (RFC 9110 section 8.8.3)."""

    etag: str = '"another"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A redirect to the sign-in page, as single sign-on in front of GitLab makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """200 with the sign-in page's HTML."""


Action = (
    Answer
    | Redirect
    | Hangup
    | Cut
    | Stall
    | Truncate
    | Corrupt
    | Trickle
    | Empty
    | Gzip
    | IgnoreRange
    | WrongRange
    | OtherETag
    | SignIn
    | SignInPage
)


@dataclass(slots=True, kw_only=True, eq=False)
class Fault:
    """An action and the requests that it happens to.

    A request matches by origin, method and a search of ``path`` (a regular expression). Of the matching ones it hits
    the ``nth`` (counted from 1) and those after, at most ``times`` (None: all), each with ``probability``. ``ranged``: only
    requests for a part of something match.
    """

    action: Action
    path: str = ""
    method: str | None = None
    origin: Origin = "gitlab"
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    ranged: bool = False
    #: How many requests matched, and how many were hit.
    matched: int = 0
    fired: int = 0

    def hits(self, origin: Origin, method: str, path: str, luck: random.Random, *, ranged: bool = False) -> bool:
        """Count a request, and decide."""
        if self.ranged and not ranged:
            return False
        if origin != self.origin or self.method not in {None, method} or not re.search(self.path, path):
            return False
        self.matched += 1
        if self.matched < self.nth or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1 and luck.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The script: the first fault that hits a request decides what happens to it."""

    def __init__(self, *, seed: object = 0) -> None:
        self._script: list[Fault] = []
        self._luck = random.Random(f"faults {seed}")

    def add(self, fault: Fault) -> Fault:
        """Add a fault behind the others; it is returned to be watched or removed."""
        self._script.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a fault out; nothing happens when it is out already."""
        if fault in self._script:
            self._script.remove(fault)

    def clear(self) -> None:
        """Take all out."""
        self._script.clear()

    def strike(self, origin: Origin, method: str, path: str, *, ranged: bool = False) -> Action | None:
        """What happens to this request, which is for a part where it is ``ranged``; None for nothing."""
        for fault in self._script:
            if fault.hits(origin, method, path, self._luck, ranged=ranged):
                return fault.action
        return None

"""The places that the members of an archive take, each taken once."""

from __future__ import annotations

from typing import NamedTuple

from artifact_sync.core.unpack_names import folded
from artifact_sync.core.unpacking import Refused, Rule

__all__ = ["Places"]

Parts = tuple[str, ...]


class _Taken(NamedTuple):
    parts: Parts
    is_dir: bool
    #: Whether a member of its own has it, or only the paths of others.
    listed: bool


class Places:
    """Places are one where names differ only in case or in the form of Unicode: such files would be one on other systems."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, _Taken] = {}
        self._directories: dict[Parts, None] = {}

    @property
    def directories(self) -> tuple[Parts, ...]:
        """Every directory, named or implied, each behind the one that it lies in."""
        return tuple(self._directories)

    def take(self, parts: Parts, *, is_dir: bool, member: str) -> None:
        """Take a place for a member, and for the directories above it. Raises Refused."""
        missing: list[Parts] = []
        above = parts[:-1]
        while above and above not in self._directories:
            missing.append(above)
            above = above[:-1]
        for implied in reversed(missing):
            self._claim(_Taken(implied, is_dir=True, listed=False), member)
        self._claim(_Taken(parts, is_dir=is_dir, listed=True), member)

    def _claim(self, new: _Taken, member: str) -> None:
        key = "/".join(map(folded, new.parts))
        there = self._taken.get(key)
        if there is not None:
            self._meet(there, new, member)
        elif len(self._taken) == self._most:
            raise Refused(Rule.ENTRIES, f"its members and their directories are more than {self._most}", member=member)
        if new.is_dir:
            self._directories.setdefault(new.parts)
        self._taken[key] = new

    @staticmethod
    def _meet(there: _Taken, new: _Taken, member: str) -> None:
        """Only a directory that others named before may be named once more."""
        other = "/".join(there.parts)
        if there.parts != new.parts:
            differ = "they are one place where case or the form of Unicode does not count"
            raise Refused(Rule.DUPLICATE, f"member {member!r:.200} meets {other!r:.200}: {differ}", member=member)
        if there.is_dir != new.is_dir:
            raise Refused(
                Rule.FILE_IS_DIRECTORY,
                f"member {member!r:.200}: {other!r:.200} is a file and a directory",
                member=member,
            )
        if not there.is_dir or there.listed:
            raise Refused(Rule.DUPLICATE, f"member {member!r:.200} is there twice", member=member)

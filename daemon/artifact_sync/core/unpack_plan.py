"""What unpacking an archive would do, judged from its directory before a byte is written."""

from __future__ import annotations

import stat
from enum import StrEnum

from msgspec import Struct

from artifact_sync.core.archive import DEFLATED, STORED, Member, in_file_order
from artifact_sync.core.archive_end import End, check_comment, locate
from artifact_sync.core.paths import encode
from artifact_sync.core.unpack_names import parts_of, text_of
from artifact_sync.core.unpack_tree import Places
from artifact_sync.core.unpacking import Refused, Rejected, Rule, UnpackLimits
from artifact_sync.errors import Corrupt

__all__ = ["Kind", "Planned", "UnpackPlan", "find_end", "plan"]

#: What a file or a directory takes at least on the usual filesystems.
_BLOCK = 4096
#: PATH_MAX: no system makes a link with more.
_LONGEST_TARGET = 4096


class Kind(StrEnum):
    """What a member becomes."""

    FILE = "file"
    DIRECTORY = "directory"
    #: Listed, and not made.
    LINK = "link"


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


class Planned(Struct, frozen=True, kw_only=True, gc=False):
    """One member, and where it goes. ``path`` is empty for the directory that is unpacked into."""

    member: Member
    name: str
    kind: Kind
    #: Components, encoded.
    path: tuple[str, ...]

    @property
    def executable(self) -> bool:
        """Whether its owner may execute it; nothing else of a mode is taken over."""
        return bool(self.member.mode & stat.S_IXUSR)


class UnpackPlan(Struct, frozen=True, kw_only=True):
    """A whole archive."""

    #: In the order of their bytes.
    entries: tuple[Planned, ...]
    #: Every directory, each behind the one that it lies in, components encoded.
    directories: tuple[tuple[str, ...], ...]
    #: Bytes of all files.
    size: int


def find_end(tail: bytes, archive_size: int) -> End:
    """As ``archive_end.locate``, and there is one end alone. Raises Refused."""
    try:
        end = locate(tail, archive_size)
        check_comment(tail)
    except Corrupt as error:
        raise Refused(Rule.STRUCTURE, str(error)) from error
    return end


def plan(
    directory: bytes, end: End, *, archive_size: int, limits: UnpackLimits, available: int
) -> UnpackPlan | Rejected:
    """The plan for an archive of ``archive_size`` bytes with this directory, where ``available`` bytes may be written.

    Numbers and sizes are judged before the directory is read. What only the members' own bytes tell is not judged here.
    """
    try:
        return _plan(directory, end, _Budget(limits, archive_size, available), limits)
    except Refused as refused:
        return refused.rejected
    except Corrupt as error:
        return Refused(Rule.STRUCTURE, str(error)).rejected


def _plan(directory: bytes, end: End, budget: _Budget, limits: UnpackLimits) -> UnpackPlan:
    if end.directory_size > limits.directory:
        raise Refused(
            Rule.DIRECTORY_SIZE, f"its directory has {end.directory_size} bytes, more than {limits.directory}"
        )
    if end.members > limits.entries:
        raise Refused(Rule.ENTRIES, f"it has {end.members} members, more than {limits.entries}")
    places = Places(limits.entries)
    entries = []
    for member in in_file_order(directory, end):
        name = text_of(member)
        _require_readable(member, name)
        kind = _kind(member, name)
        parts = parts_of(member, name, limits)
        if parts:
            places.take(parts, is_dir=kind is Kind.DIRECTORY, member=name)
        budget.spend(member, name, kind)
        entries.append(Planned(member=member, name=name, kind=kind, path=tuple(map(encode, parts))))
    directories = tuple(tuple(map(encode, parts)) for parts in places.directories)
    budget.require_space(len(directories))
    return UnpackPlan(entries=tuple(entries), directories=directories, size=budget.size)


def _require_readable(member: Member, name: str) -> None:
    if member.is_locked:
        raise Refused(Rule.ENCRYPTED, f"member {name!r:.200} is encrypted or a patch", member=name)
    if member.method not in {STORED, DEFLATED}:
        raise Refused(
            Rule.METHOD,
            f"member {name!r:.200} is packed by method {member.method}, not stored or deflated",
            member=name,
        )


def _kind(member: Member, name: str) -> Kind:
    """By its mode where it has one, else by its name; the two must agree."""
    by_name = Kind.DIRECTORY if member.is_dir else Kind.FILE
    file_type = stat.S_IFMT(member.mode)
    kind = _KINDS.get(file_type) if file_type else by_name
    if kind is None:
        raise Refused(
            Rule.TYPE, f"member {name!r:.200} is a device, a pipe or a socket (mode {member.mode:o})", member=name
        )
    if (kind is Kind.DIRECTORY) != member.is_dir:
        raise Refused(
            Rule.TYPE, f"member {name!r:.200} is a {kind} by its mode and a {by_name} by its name", member=name
        )
    if kind is Kind.DIRECTORY and member.size:
        raise Refused(Rule.TYPE, f"directory {name!r:.200} has {member.size} bytes of content", member=name)
    if kind is Kind.LINK and member.size > _LONGEST_TARGET:
        raise Refused(Rule.TYPE, f"link {name!r:.200} has a target of {member.size} bytes", member=name)
    return kind


class _Budget:
    """Bytes, counted as they are planned."""

    def __init__(self, limits: UnpackLimits, archive_size: int, available: int) -> None:
        self._limits = limits
        self._archive_size = archive_size
        self._available = available
        self._taken = 0
        self.size = 0

    def spend(self, member: Member, name: str, kind: Kind) -> None:
        """Count one member. Raises Refused."""
        limits = self._limits
        if _too_dense(member.size, member.compressed_size, limits):
            what = f"unpacks from {member.compressed_size} to {member.size} bytes, more than {limits.ratio} times"
            raise Refused(Rule.RATIO, f"member {name!r:.200} {what}", member=name)
        if kind is not Kind.FILE:
            return
        self.size += member.size
        self._taken += -(-member.size // _BLOCK) * _BLOCK
        if self.size > limits.total:
            raise Refused(Rule.TOTAL_SIZE, f"it unpacks to more than {limits.total} bytes", member=name)

    def require_space(self, directories: int) -> None:
        """Judge the whole. Raises Refused."""
        if _too_dense(self.size, self._archive_size, self._limits):
            what = f"{self._archive_size} bytes unpack to {self.size}, more than {self._limits.ratio} times"
            raise Refused(Rule.RATIO, what)
        needed = self._taken + directories * _BLOCK
        if needed > self._available:
            raise Refused(Rule.SPACE, f"it needs {needed} bytes on disk, {self._available} may be used")


def _too_dense(size: int, packed: int, limits: UnpackLimits) -> bool:
    """Below ``ratio_from`` a ratio harms nobody: a small log of one line repeated has it too."""
    return size > limits.ratio_from and size > limits.ratio * packed

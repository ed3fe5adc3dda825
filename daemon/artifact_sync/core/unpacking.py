"""What unpacking an archive comes to: all of its files, or the one rule that it breaks.

A member that could harm (it leaves the directory, hides another, is a device, or unpacks to a thousand times its size) rejects
the whole archive. A name that is only awkward on some system is percent-encoded instead: real builds have such names.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

__all__ = [
    "CONTENT",
    "Contents",
    "Refused",
    "Rejected",
    "Rule",
    "SkippedLink",
    "Unpack",
    "UnpackLimits",
    "Unpacked",
    "UnpackedFile",
]

#: The folder of a publication that an archive is unpacked into.
CONTENT = "content"

_GIB = 1 << 30
_MIB = 1 << 20
#: Characters of an archive's own words in a reason; a name may have 65,535.
_SHOWN = 300
#: Links of one archive that are recorded. A hostile one may have 100,000, each with 4 KiB of target.
_LISTED = 1000


class Unpack(StrEnum):
    """What is published of an archive: the file, the files in it beside it, or these instead of it."""

    NO = "no"
    ALSO = "also"
    ONLY = "only"

    def united(self, other: Unpack) -> Unpack:
        """What satisfies both: where they differ, the archive and its files."""
        return self if self is other else Unpack.ALSO


class Rule(StrEnum):
    """What a rejected archive breaks."""

    #: The end records, the directory and the members do not meet exactly.
    STRUCTURE = "structure"
    #: Bytes belong to no member: another reader may find another archive there.
    GAP = "gap"
    #: A member's own header, or its content, is not what the directory says.
    CONTENT = "content"
    ENTRIES = "too many entries"
    DIRECTORY_SIZE = "directory too large"
    TOTAL_SIZE = "unpacks to too much"
    #: Not the archive's fault: less is free now.
    SPACE = "does not fit"
    RATIO = "compressed too well"
    METHOD = "unknown method"
    ENCRYPTED = "encrypted"
    TYPE = "special file"
    NAME_TEXT = "name is not text"
    NAME_EMPTY = "empty name"
    NAME_NUL = "NUL in name"
    NAME_TOO_LONG = "name too long"
    PATH_TOO_LONG = "path too long"
    DEPTH = "path too deep"
    ABSOLUTE = "absolute path"
    DRIVE = "drive letter"
    TRAVERSAL = "path leads out"
    ALIAS = "path written two ways"
    DUPLICATE = "two members in one place"
    FILE_IS_DIRECTORY = "file used as directory"
    TIME = "took too long"
    MEMORY = "took too much memory"
    CRASH = "unpacking crashed"


class UnpackLimits(Struct, frozen=True, kw_only=True):
    """How much one archive may ask for. Sizes are bytes, times seconds."""

    #: Files, links and directories, those included that only paths name.
    entries: int = 100_000
    directory: int = 64 * _MIB
    total: int = 50 * _GIB
    #: Unpacked to packed, of the archive and of each member, where either unpacks to more than ``ratio_from``.
    ratio: int = 200
    ratio_from: int = 64 * _MIB
    name: int = 255
    path: int = 1024
    depth: int = 64
    wall_time: float = 3600
    #: Of the unpacking process.
    cpu_time: int = 1800
    memory: int = 1 * _GIB
    open_files: int = 64


class Rejected(Struct, frozen=True, kw_only=True, tag="rejected"):
    """The archive is not unpacked; nothing of it is left. ``member`` as the archive names it, where one is to blame."""

    rule: Rule
    reason: str
    member: str | None = None


class Refused(Exception):
    """A rule is broken; carried to where the archive is rejected as a whole."""

    def __init__(self, rule: Rule, reason: str, *, member: str | None = None) -> None:
        text = reason if len(reason) <= _SHOWN else f"{reason[:_SHOWN]}..."
        super().__init__(text)
        shown = member if member is None or len(member) <= _SHOWN else f"{member[:_SHOWN]}..."
        self.rejected = Rejected(rule=rule, reason=text, member=shown)


class UnpackedFile(Struct, frozen=True, kw_only=True):
    """One file, on disk and durable."""

    #: As the archive names it.
    member: str
    #: Below the directory that was unpacked into, each component encoded.
    path: tuple[str, ...]
    size: int
    sha256: str
    executable: bool

    @property
    def name(self) -> str:
        """The path, POSIX."""
        return "/".join(self.path)


class SkippedLink(Struct, frozen=True, kw_only=True, tag="skipped"):
    """A symbolic link, which is not made. ``target`` is the text that it holds."""

    member: str
    target: str


class Unpacked(Struct, frozen=True, kw_only=True):
    """The archive is unpacked whole. Files stand in the archive's order."""

    files: tuple[UnpackedFile, ...]
    skipped: tuple[SkippedLink, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Contents(Struct, frozen=True, kw_only=True):
    """What became of an archive that was to be unpacked, as it is kept with the publication."""

    #: Why it was not; then it is published as the file that it is.
    rejected: Rejected | None = None
    #: Symbolic links that it has, which were not made.
    links: int = 0
    #: The first of them.
    skipped: tuple[SkippedLink, ...] = ()

    @classmethod
    def of(cls, verdict: Unpacked | Rejected) -> Contents:
        """To be kept of it."""
        if isinstance(verdict, Rejected):
            return cls(rejected=verdict)
        return cls(links=len(verdict.skipped), skipped=verdict.skipped[:_LISTED])

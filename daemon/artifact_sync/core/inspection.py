"""What looking into a publication comes to: every file as it was published, or what is wrong with which of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from artifact_sync.core.model import StagedFile

__all__ = ["Damage", "Expected", "Fault", "Inspection"]


class Fault(StrEnum):
    """What is wrong with one name below a destination."""

    MISSING = "missing"
    #: A link, a directory or a device stands where a file was published.
    NOT_A_FILE = "not a file"
    SIZE = "wrong size"
    CONTENT = "wrong content"
    #: The disk does not give it back.
    UNREADABLE = "unreadable"
    #: The manifest is missing, cut off, or not the one that was written.
    MANIFEST = "manifest"
    #: ``SHA256SUMS`` is missing or says something else than the manifest.
    SUMS = "checksums"
    #: The files are as the manifest says and the manifest is the one that was written, but the state says otherwise.
    STATE = "state"
    #: Not published by anybody. It is left alone.
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One name and what is wrong with it. ``name`` is inside the publication; empty for the directory itself."""

    fault: Fault
    name: str
    detail: str = ""
    #: What stood there, so that nothing else is set aside in its place; None where nothing did.
    inode: int | None = None

    @property
    def harms(self) -> bool:
        """Whether what was published is not all there as it was."""
        return self.fault is not Fault.FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must stand at a destination. ``manifest_sha256`` is empty where it is not known."""

    dest: str
    files: tuple[StagedFile, ...]
    manifest_sha256: str = ""

    @property
    def shown(self) -> tuple[StagedFile, ...]:
        """Those that were made visible."""
        return tuple(file for file in self.files if file.published)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found at one destination. ``size`` is in bytes, of the files that were looked at."""

    dest: str
    damages: tuple[Damage, ...]
    files: int
    size: int

    @property
    def harmed(self) -> tuple[Damage, ...]:
        """What is damaged."""
        return tuple(damage for damage in self.damages if damage.harms)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Names that nobody published."""
        return tuple(damage.name for damage in self.damages if damage.fault is Fault.FOREIGN)

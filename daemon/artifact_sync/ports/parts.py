"""Where a download goes: the part it grows in, what is remembered of it, and the room there is."""

from __future__ import annotations

from typing import Protocol

from artifact_sync.ports.records import PartRecord
from artifact_sync.ports.store import Part

__all__ = ["OwnFile", "PartRecords", "Parts", "Room"]


class Room(Protocol):
    """Somewhere that bytes are written to."""

    async def free(self) -> int:
        """Bytes free to this user."""


class Parts(Room, Protocol):
    """Where parts are made."""

    async def part(self, name: str, *, keep: int = 0, expected: int | None = None) -> Part:
        """As ``Store.part``."""


class PartRecords(Protocol):
    """What is remembered of parts."""

    async def part_record(self, transfer_id: int, item: str) -> PartRecord | None:
        """What is known of a part, for resuming."""

    async def save_part(self, record: PartRecord) -> None:
        """Remember a durable prefix. Only after it was made durable."""


class OwnFile(Parts, PartRecords, Protocol):
    """A file of somebody's own that is on its way, in a part beside it; nobody else works on it meanwhile."""

    @property
    def name(self) -> str:
        """Of the part."""

    async def show(self) -> None:
        """The finished part becomes the file, at once and durably. Raises UsageError for what stands there, StoreError."""

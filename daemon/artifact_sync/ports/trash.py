"""Where publications wait that retention took, until they are gone for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from artifact_sync.core.model import StagedFile

__all__ = ["Trash"]


class Trash(Protocol):
    """The store's trash. Its bytes are on the disk still. Every method raises NoSpace, StoreDamaged, StoreError."""

    async def take(self, dest: str, files: Sequence[StagedFile], name: str) -> bool:
        """Move a publication there under a name, durably; whether it is there now. False: there was nothing to move.

        Idempotent: after a crash at any point, calling it again completes it. Only what is the publication's own goes: other
        publications below the same directory stay. Directories above it that are empty then are removed.
        """

    async def give_back(self, dest: str, name: str) -> bool:
        """Move it back to its destination, durably; whether it stands there now. Idempotent as ``take``.

        Raises Obstructed where something stands in its place.
        """

    async def names(self) -> list[str]:
        """What lies there, in order."""

    async def discard(self, name: str) -> bool:
        """Remove it for good; whether it was there. Its bytes are free once ``reclaim`` removed the objects."""

    async def unlinked(self, *, after: str, limit: int) -> list[str]:
        """Names of objects (the sha256, and ``x`` behind it where the bytes may be executed) that no file shares.

        In order, from behind ``after`` on. Where files cannot share their bytes, these are all objects.
        """

    async def reclaim(self, names: Collection[str]) -> int:
        """Remove these objects unless a file shares them by now; the bytes that became free."""

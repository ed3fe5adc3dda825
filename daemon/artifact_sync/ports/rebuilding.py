"""The state again, from the store alone: what its manifests say, and where that goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from artifact_sync.core.inspection import Expected
from artifact_sync.core.model import StagedFile, Transfer

__all__ = ["FoundPublication", "StateBuilder", "Strange", "Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPublication:
    """A publication as its manifest has it."""

    transfer: Transfer
    files: tuple[StagedFile, ...]
    manifest_sha256: str
    published_at: datetime
    #: Whether every file is there, as far as was looked.
    whole: bool

    @property
    def size(self) -> int:
        """Bytes of the files that are visible."""
        return sum(file.size for file in self.files if file.published)

    @property
    def expected(self) -> Expected:
        """What must stand in the store."""
        return Expected(dest=self.transfer.dest, files=self.files, manifest_sha256=self.manifest_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """Something in the tree that is left alone and out. ``path`` is below the tree."""

    path: str
    reason: str


class Survey(Protocol):
    """Everything that stands in a store."""

    def survey(self) -> AsyncIterator[FoundPublication | Strange]:
        """Every manifest in the tree, streamed; files are compared by size. Raises StoreDamaged, StoreError."""


class StateBuilder(Protocol):
    """A new state, which nobody sees before it is complete."""

    async def add(self, found: Sequence[FoundPublication]) -> tuple[FoundPublication, ...]:
        """Those that have no place, because another one has it. Raises StateError, NoSpace."""

    async def finish(self, owners: Mapping[str, str]) -> tuple[str, ...]:
        """Put it into the place of the state that was there; where that went to. Raises StateError, NoSpace."""

"""What is mirrored, for those who ask for it as they would ask GitLab."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from artifact_sync.core.model import Job, StagedFile, Transfer

__all__ = ["Catalogue", "Copy", "MirroredJob", "MirroredProject", "OpenFile", "Room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredProject:
    """A project of which something is or was to be mirrored, under the path that it had last."""

    id: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One publication of a job."""

    id: int
    transfer: Transfer
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredJob:
    """A job with its publications, the newest first; there is always one."""

    copies: tuple[Copy, ...]
    #: Whether a pin holds it here.
    pinned: bool = False

    @property
    def job(self) -> Job:
        """As GitLab reported it when it was last found."""
        return self.copies[0].transfer.job

    @property
    def project_id(self) -> int:
        """Its project."""
        return self.copies[0].transfer.project_id


class Catalogue(Protocol):
    """What is published and not lost, pruned or on its way there. It only reads. Raises StateError, NoSpace."""

    async def projects(self, *, after: int = 0, limit: int) -> tuple[MirroredProject, ...]:
        """Projects by id, ascending, those behind ``after``."""

    async def project_named(self, path: str) -> MirroredProject | None:
        """The project that has this path now, or had it when something of it was last published."""

    async def jobs(
        self, project_id: int, *, before: int | None, statuses: Collection[str], limit: int, offset: int = 0
    ) -> tuple[MirroredJob, ...]:
        """Jobs of a project, newest id first, those before ``before``, of these statuses where any is given."""

    async def job(self, project_id: int, job_id: int) -> MirroredJob | None:
        """One job; None where nothing of it is mirrored."""

    async def pipeline(self, project_id: int, pipeline_id: int, *, limit: int) -> tuple[MirroredJob, ...]:
        """Jobs of one pipeline, newest id first."""

    async def on_ref(self, project_id: int, ref: str, *, before: int | None, limit: int) -> tuple[Job, ...]:
        """Jobs that ran for a ref, newest id first, each once."""

    async def files(self, copy: Copy) -> Sequence[StagedFile]:
        """What a publication consists of; nothing where it went since."""

    async def polled_at(self) -> datetime | None:
        """When a project was last polled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A published file, open. Whoever has it closes it."""

    file: BinaryIO
    size: int
    sha256: str


class Room(Protocol):
    """Where published files are read one by one."""

    async def open(self, dest: str, file: StagedFile) -> OpenFile | None:
        """A published file; None where none of that size stands there: it went, or is damaged. Raises StoreError."""

    async def answers(self) -> bool:
        """Whether the store is there, and the one that the state belongs to. Raises StoreError."""

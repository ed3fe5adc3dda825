"""Which of the publications that a link could point at is the newest: an order in which no two are equal.

Wherever a link has come to by way of it, in whatever order they came, it is at the newest of all that did.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from artifact_sync.core.model import Job
from artifact_sync.core.semver import Version

__all__ = ["LatestBy", "Link", "Linkable", "Rank"]

_NEVER = datetime.min.replace(tzinfo=UTC)

#: To be compared, and for nothing else.
Rank: TypeAlias = tuple[tuple[Version, ...], datetime, int, str]


class LatestBy(StrEnum):
    """What newest means."""

    #: The newest end of a job.
    FINISHED = "finished"
    #: The highest semantic version of a tag, and of one version the newest end. What is no version comes before all that are.
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Link:
    """A name in the tree for the newest of several publications."""

    #: Relative to ``tree/``, POSIX, components already encoded.
    path: str
    by: LatestBy = LatestBy.FINISHED


@dataclass(frozen=True, slots=True)
class Linkable:
    """A publication as far as its rank is concerned."""

    dest: str
    job: Job

    def rank(self, by: LatestBy) -> Rank:
        """The higher, the newer."""
        version = Version.parse(self.job.ref) if by is LatestBy.VERSION and self.job.tag else None
        ended = self.job.ended_at or self.job.created_at or _NEVER
        # Job ids are unique in the whole of GitLab; one job may be published at two places.
        return () if version is None else (version,), ended, self.job.id, self.dest

"""GitLab, as the engine uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from artifact_sync.core.model import Item, Job, Pipeline, Project, TreeEntry, TriggerJob
from artifact_sync.core.ways import Known

__all__ = ["Body", "Latest", "Page", "Piece", "Pin", "Priority", "Remote", "ServerVersion", "Source", "TokenInfo"]

T = TypeVar("T")


class Priority(IntEnum):
    """Who goes first when the request budget is short. KEEP also owns a share that nothing else may use."""

    KEEP = 0
    DOWNLOAD = 1
    POLL = 2
    BACKFILL = 3
    AUDIT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list. ``next`` resumes behind it, also after a restart; None: that was the last page.

    ``undecodable`` counts entries whose JSON could not be understood; they are left out of ``items``.
    """

    items: tuple[T, ...]
    next: str | None
    undecodable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The job of this name in the newest successful pipeline of a branch or tag, child pipelines included.

    ``recent``: where that one has none, in the newest of the last hundred successful pipelines that has
    (``search_recent_successful_pipelines``, 18.7, of single files 18.9; older servers ignore it).
    """

    ref: str
    job: str
    recent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to download: one item of one job."""

    project_id: int
    #: 0 where ``latest`` names the job.
    job_id: int
    item: Item
    latest: Latest | None = None


class Body(Protocol):
    """An accepted answer to a download, whose status, redirects and ranges have been judged already."""

    @property
    def offset(self) -> int:
        """Where the bytes continue: 0 when they start over, else exactly the offset that was asked for."""

    @property
    def total(self) -> int | None:
        """Full size of the entity in bytes (not of the rest), where the server says; None for a chunked answer."""

    @property
    def etag(self) -> str | None:
        """The strong ETag with its quotes, or None (a weak one is reported as None)."""

    @property
    def source(self) -> str:
        """scheme://host/path that answered at last, without query or credentials."""

    @property
    def content_type(self) -> str:
        """As the server has it; empty where it says none."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, at most 256 KiB each.

        Raises Transient when the connection breaks, ends short of Content-Length, or is silent for the timeout.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What tells one entity from another of the same address: ``total`` bytes under a strong validator.

    That is the strong ``etag`` with its quotes, or else ``modified``, a Last-Modified that is as good as one (RFC 9110
    section 8.8.2.2).
    """

    total: int
    etag: str | None = None
    modified: str | None = None


class Piece(Body, Protocol):
    """An accepted answer to a request for a range: exactly that range, from ``offset`` on."""

    @property
    def size(self) -> int:
        """How many bytes come, if the answer keeps its word: a chunked one may bring more, or end early unnoticed."""

    @property
    def pin(self) -> Pin | None:
        """What it is a piece of; None: the answer says nothing by which another piece could be known to fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVersion:
    """GET /version."""

    version: str
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """GET /personal_access_tokens/self. Empty where the token's kind has no such call."""

    name: str = ""
    scopes: tuple[str, ...] = ()
    active: bool = True
    expires_at: datetime | None = None


class Remote(Protocol):
    """GitLab's API as the engine uses it.

    Every call waits for the request budget, retries Transient answers with full jitter a bounded number of times, and
    raises: Transient (still failing), Throttled, CredentialRefused, Denied, NotFound, Refused.
    """

    @property
    def requests(self) -> Mapping[Priority, int]:
        """How many requests to GitLab were granted so far, by purpose."""

    @property
    def unchanged(self) -> Mapping[Priority, int]:
        """How many of them were answered with 304."""

    @property
    def throttled(self) -> Mapping[Priority, int]:
        """How many of them GitLab answered with 429."""

    async def version(self) -> ServerVersion:
        """GET /version."""

    async def token(self) -> TokenInfo:
        """GET /personal_access_tokens/self; an empty TokenInfo for job tokens, or with no token."""

    async def project(self, path_or_id: str | int) -> Project:
        """GET /projects/:id, following the 301 of a moved project."""

    def group_projects(self, group: str | int) -> AsyncIterator[Page[Project]]:
        """GET /groups/:id/projects with subgroups, archived ones included, shared ones not."""

    def projects(self) -> AsyncIterator[Page[Project]]:
        """GET /projects: every project that this token sees, by ascending id."""

    def project_jobs(
        self, project_id: int, *, resume: str | None = None, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[Job]]:
        """GET /projects/:id/jobs, newest id first. ``resume`` is an earlier page's ``next``."""

    def pipelines(
        self,
        project_id: int,
        *,
        updated_after: datetime | None = None,
        source: str | None = None,
        priority: Priority = Priority.POLL,
    ) -> AsyncIterator[Page[Pipeline]]:
        """GET /projects/:id/pipelines. Child pipelines are listed only with ``source="parent_pipeline"``."""

    def pipeline_jobs(
        self, project_id: int, pipeline_id: int, *, include_retried: bool = False, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[Job]]:
        """GET /projects/:id/pipelines/:pipeline_id/jobs."""

    def trigger_jobs(
        self, project_id: int, pipeline_id: int, *, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[TriggerJob]]:
        """GET /projects/:id/pipelines/:pipeline_id/trigger_jobs (19.2), or its older name ``bridges``."""

    async def job(self, project_id: int, job_id: int, *, priority: Priority = Priority.POLL) -> Job:
        """GET /projects/:id/jobs/:job_id."""

    async def keep(self, project_id: int, job_id: int) -> Job:
        """POST /projects/:id/jobs/:job_id/artifacts/keep with the keep token where there is one, at Priority.KEEP.

        NotFound means no archive or already past its expiry; Denied may mean maintenance. Not retried blindly.
        """

    async def delete_artifacts(self, project_id: int, job_id: int) -> None:
        """DELETE /projects/:id/jobs/:job_id/artifacts with the keep token where there is one. Not retried blindly."""

    def open(
        self, source: Source, *, offset: int = 0, etag: str | None = None, total: int | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """Start a download at Priority.DOWNLOAD, following redirects by hand with no credential off-origin.

        With ``offset`` it asks for the rest with Range and If-Range (``etag``, strong) and accepts only the exact
        range of the same entity of ``total`` bytes; anything else yields a Body at offset 0. Asks GitLab again each
        time, because signed URLs live for minutes. Raises as the class says; a redirect to the sign-in page
        is CredentialRefused.
        """

    @property
    def known(self) -> Known:
        """What the answers so far tell of the ways to fetch files of archives."""

    def tree(self, project_id: int, job_id: int) -> AsyncIterator[Page[TreeEntry]]:
        """GET /projects/:id/jobs/:job_id/artifacts/tree (18.8), everything in the archive, at Priority.DOWNLOAD.

        An older server answers NotFound, or Refused where the archive has a file of that name; so does a newer one for
        artifacts that are not to be had. ``known`` tells them apart afterwards.
        """

    def open_range(
        self,
        source: Source,
        *,
        start: int,
        stop: int | None = None,
        pin: Pin | None = None,
        further: bool = False,
    ) -> AbstractAsyncContextManager[Piece | None]:
        """The bytes of an archive from ``start`` until before ``stop``, or its last ``-start`` where that is negative.

        With ``pin`` they are of that entity (If-Range). None: the answer is anything else than exactly that range, so
        that the archive must be read as a whole; and the place to which GitLab redirected before is asked directly, for as
        long as it answers with the range. Opened and raises as ``open``.

        ``further``: one more connection for what is being downloaded already. Nothing is tried twice then.
        """


# --- The store --------------------------------------------------------------------------------------------------------

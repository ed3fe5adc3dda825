"""What the engine needs from the world, as small Protocols with their contracts.

Every adapter lets only errors of ``artifact_sync.errors`` out. Times are aware datetimes in UTC, sizes are bytes,
durations are seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import BinaryIO, Generic, Protocol, TypeVar

from artifact_sync.core.model import Item, Job, KeepDue, KeepResult, Pipeline, Project, StagedFile, Transfer, TriggerJob
from artifact_sync.errors import Outcome

__all__ = [
    "Body",
    "Clock",
    "Copies",
    "KeepEntry",
    "Page",
    "Part",
    "PartRecord",
    "Priority",
    "Progress",
    "Publication",
    "Published",
    "Queue",
    "QueuedTransfer",
    "Remote",
    "ServerVersion",
    "Source",
    "State",
    "Store",
    "Summary",
    "TokenInfo",
    "TransferState",
    "Trouble",
    "WatchedPipeline",
]

T = TypeVar("T")


class Clock(Protocol):
    """Time, so that tests can drive it. ``now`` is the server's time once it is known (``Date`` header, median skew)."""

    def now(self) -> datetime:
        """The current time in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""


# --- GitLab -----------------------------------------------------------------------------------------------------------


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
class Source:
    """What to download: one item of one job."""

    project_id: int
    job_id: int
    item: Item


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


# --- The store --------------------------------------------------------------------------------------------------------


class Part(Protocol):
    """A growing file in staging. It hashes what it writes, off the event loop. One user at a time."""

    #: File name inside ``.staging/``.
    name: str
    #: Bytes written so far, the kept prefix included.
    size: int

    async def append(self, batch: bytes | bytearray | memoryview) -> None:
        """Write one batch (best at 1 MiB or more). Raises NoSpace, StoreDamaged."""

    async def restart(self) -> None:
        """Forget everything written and begin again at byte 0 in a new file."""

    async def checkpoint(self) -> int:
        """Make what is written durable; the durable size. After a failure the part is gone (fsync is never retried)."""

    def reader(self) -> BinaryIO:
        """A seekable, buffered, read-only view of what was appended so far, for a worker thread; the caller closes it.

        Independent of the part's own handle: it stays good through ``finish`` and ``close``. Raises StoreDamaged.
        """

    async def finish(self) -> tuple[str, int]:
        """fsync once and close: (sha256 in hex, size). After a failure the part is gone."""

    async def close(self) -> None:
        """Close and leave the file, to be resumed. Safe to call again."""

    async def discard(self) -> None:
        """Close and remove the file. Safe to call again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is to become visible at ``dest``."""

    transfer: Transfer
    files: tuple[StagedFile, ...]
    #: The server's time of the publication.
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became visible. ``manifest_sha256`` is of the manifest as written."""

    dest: str
    size: int
    manifest_sha256: str


class Store(Protocol):
    """The place where artifacts become visible, whole or not at all."""

    @property
    def identity(self) -> str:
        """Made with the store, and staying with it wherever it is moved or mounted."""

    async def part(self, name: str, *, keep: int = 0) -> Part:
        """Open a part. ``keep`` bytes of an existing one are kept (truncated to it, re-hashed); fewer there: starts at 0."""

    async def publish(self, publication: Publication) -> Published:
        """Step P6 of the publish protocol: objects, links, SHA256SUMS, manifest, durable in that order.

        Idempotent: after a crash at any point, calling it again with the same publication completes it. Adds to a
        directory that another rule published, never overwrites other bytes. Raises NoSpace, StoreDamaged, Obstructed, Corrupt.
        """

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """Whether all files stand at ``dest`` with size and sha256 as given, under a manifest that names them."""

    async def exists(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``has``, but by size alone."""

    async def staged(self, files: Sequence[StagedFile]) -> bool:
        """Whether all parts lie in staging, or were already moved among the objects, with size and sha256 as given.

        True means that ``publish`` needs no new download, also after it was killed half-way.
        """

    async def sync(self) -> None:
        """syncfs of the store: what a killed run left in the page cache becomes durable."""

    async def sweep(self, wanted: Callable[[str], bool]) -> int:
        """Remove what lies in staging and is not ``wanted`` by name; how many."""

    async def free(self) -> int:
        """Bytes free to this user."""


class Copies(Protocol):
    """A look at what is published, also beside the process that works on the store."""

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``Store.has``; never where the store is another one than the state's. Raises StoreError."""


# --- State ------------------------------------------------------------------------------------------------------------


class TransferState(StrEnum):
    """Where a transfer stands. WANTED may have a retry time; FAILED is final until asked for again."""

    WANTED = "wanted"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    PUBLISHED = "published"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far discovery has come in one project. ``horizon`` is where a finished backfill ended (None: at the start)."""

    project_id: int
    path: str
    #: Highest job id up to which every job has been looked at once.
    newest_job_id: int = 0
    #: Where the backfill goes on; meaningless once ``backfill_done``.
    backfill_next: str | None = None
    backfill_done: bool = False
    #: The oldest moment the backfill covers or is to cover; None: everything.
    horizon: datetime | None = None
    #: The newest pipeline of which something was seen.
    newest_pipeline_id: int = 0
    #: Newest ``updated_at`` seen among pipelines, and among child pipelines: what moved is asked for from there on.
    moved_to: datetime | None = None
    children_moved_to: datetime | None = None
    #: (pipeline id, its ``updated_at``) of those looked at that a listing from there on shows again.
    looked_at: tuple[tuple[int, datetime], ...] = ()
    children_looked_at: tuple[tuple[int, datetime], ...] = ()
    #: When child pipelines were last asked for by themselves.
    children_at: datetime | None = None
    #: Identifies the rules that history was judged by: others make it be walked again.
    rules: str = ""
    polled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPipeline:
    """A pipeline with jobs that may still come to be selected. ``looks`` counts looks at which nothing had changed."""

    project_id: int
    pipeline_id: int
    look_at: datetime
    looks: int = 0
    #: Identifies what was last seen (ids and statuses), to notice change.
    seen: str = ""
    #: The project that the pipeline runs in, where another one's pipeline triggered it.
    runs_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """What is needed to resume a part: its durable size and the entity it belongs to."""

    transfer_id: int
    item: str
    size: int
    etag: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTransfer:
    """A transfer with its place in the state."""

    id: int
    transfer: Transfer
    state: TransferState
    #: Attempts that failed; a claim, a stop and a crash are not counted.
    attempts: int = 0
    next_attempt_at: datetime | None = None
    outcome: Outcome | None = None
    error: str = ""
    #: STAGED: what waits in staging. Else: what was published so far (a transfer can gain items and be wanted again).
    files: tuple[StagedFile, ...] = ()
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepEntry:
    """A line of the ledger: who asked to keep what, why, when, and what came of it."""

    at: datetime
    project_id: int
    project_path: str
    job_id: int
    job_name: str
    rule: str
    reason: str
    expire_at: datetime | None
    result: KeepResult
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A project, or what a rule names, that cannot be looked at: the last reason, and since when."""

    subject: str
    error: str
    hint: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `status` shows."""

    #: Longest-standing first; a few.
    troubles: tuple[Trouble, ...]
    by_state: dict[TransferState, int]
    published_bytes: int
    projects: tuple[Progress, ...]
    watched_pipelines: int
    #: Not yet mirrored, soonest deadline first; a few.
    at_risk: tuple[QueuedTransfer, ...]
    #: Most recently failed, newest first; a few.
    failures: tuple[QueuedTransfer, ...]
    keeps_due: int
    keeps: tuple[KeepEntry, ...]


class State(Protocol):
    """What must survive a restart. Every method is one durable transaction. Raises StateError, NoSpace."""

    async def belongs_to(self) -> Mapping[str, str]:
        """What was recorded by ``belong_to``; empty for a new state."""

    async def belong_to(self, owners: Mapping[str, str]) -> None:
        """Record whose state it is, by kind (``gitlab``, ``store``): ids mean nothing anywhere else."""

    async def progress(self, project_id: int) -> Progress | None:
        """How far discovery has come; None for a project never seen."""

    async def save_progress(
        self,
        progress: Progress,
        *,
        found: Sequence[Transfer] = (),
        keeps: Sequence[KeepDue] = (),
        watch: Sequence[WatchedPipeline] = (),
        unwatch: Sequence[int] = (),
        now: datetime,
    ) -> tuple[QueuedTransfer, ...]:
        """Record what a page showed and the progress past it, in one transaction; the transfers that are new.

        A known transfer (project, job, dest) takes up rules and items it did not have and is wanted again if it gained
        items; what it was to bring and no rule asks for any more is dropped. It is otherwise left alone. A destination that differs only in case from another job's gets the suffix
        ``%~<job id>``. ``keeps`` of a known (project, job, rule) are left alone.
        """

    async def want(
        self, found: Sequence[Transfer], *, keeps: Sequence[KeepDue] = (), now: datetime
    ) -> tuple[QueuedTransfer, ...]:
        """``save_progress`` without any progress: what an audit finds, also beside a daemon that makes progress."""

    async def due_pipelines(self, project_id: int, now: datetime) -> tuple[WatchedPipeline, ...]:
        """Watched pipelines whose time to look has come."""

    async def next_look(self, project_id: int) -> datetime | None:
        """The soonest look at any watched pipeline of the project."""

    async def find(self, project_id: int, job_id: int) -> tuple[QueuedTransfer, ...]:
        """The transfers of one job."""

    async def unfinished(self) -> tuple[QueuedTransfer, ...]:
        """Transfers in DOWNLOADING or STAGED: what recovery looks at."""

    def published(self) -> AsyncIterator[QueuedTransfer]:
        """All PUBLISHED transfers, streamed."""

    async def note_trouble(self, trouble: Trouble) -> None:
        """Remember that a subject cannot be looked at; of one that is known the error is replaced."""

    async def clear_trouble(self, subject: str | None = None) -> None:
        """It can be looked at again; without a subject: nothing is known of any."""

    async def summary(self) -> Summary:
        """Figures and a few examples of each kind."""

    # keep
    async def due_keeps(self, now: datetime, limit: int) -> tuple[KeepDue, ...]:
        """Keeps whose time has come, soonest expiry first; those whose transfers are all published are left out
        (and forgotten) unless ``always``.
        """

    async def next_keep(self) -> datetime | None:
        """The soonest due keep."""

    async def keep_done(
        self,
        due: KeepDue,
        entry: KeepEntry,
        *,
        again_at: datetime | None,
        expire_at: datetime | None,
        first: bool = False,
    ) -> None:
        """Write the ledger. With ``again_at`` the keep stays due then; without, it is settled.

        ``expire_at`` becomes the deadline of the job's open transfers (None: they have none any more). ``first``: nothing
        but the download can save them now, so they go before everything else.
        """

    async def released(self, entry: KeepEntry) -> None:
        """Write the ledger, and settle every keep of the job: it is not called again."""

    def keeps(self) -> AsyncIterator[KeepEntry]:
        """The ledger, newest first."""

    # parts
    async def part_record(self, transfer_id: int, item: str) -> PartRecord | None:
        """What is known of a part, for resuming."""

    async def resumable(self) -> frozenset[int]:
        """Ids of the transfers with a part that is remembered."""

    async def save_part(self, record: PartRecord) -> None:
        """Remember a durable prefix. Only after it was made durable."""


class Queue(Protocol):
    """The durable queue of transfers.

    What presses (core.deadlines) goes strictly by its deadline, across all projects. Of the rest fresh work goes before
    history, then by priority, and the projects take turns; within a project soonest first. Nothing waits for ever.
    """

    async def claim(self, now: datetime) -> QueuedTransfer | None:
        """Step P0: take the next WANTED (or LOST) transfer whose time has come and mark it DOWNLOADING; None: none is due.

        Never hands one transfer to two callers.
        """

    async def stage(self, transfer_id: int, files: Sequence[StagedFile]) -> None:
        """Step P5: STAGED, with what proves the files' identity; their part records are forgotten."""

    async def publish(self, transfer_id: int, published: Published, at: datetime) -> None:
        """Step P7: PUBLISHED, or WANTED again where the transfer gained items since it was claimed."""

    async def release(self, transfer_id: int) -> None:
        """Back to WANTED without counting an attempt: a stop, a full disk, a lost credential."""

    async def fail(self, transfer_id: int, outcome: Outcome, error: str, *, retry_at: datetime | None) -> None:
        """An attempt failed: WANTED at ``retry_at``, or FAILED for good without one."""

    async def revive(self) -> int:
        """FAILED becomes WANTED, with its attempts to come again, unless its outcome is final; how many."""

    async def lost(self, transfer_id: int) -> None:
        """Published before, not there now: wanted again, remembered as lost until it is back."""

    async def open_count(self) -> int:
        """Transfers not yet PUBLISHED or FAILED."""

    async def next_attempt(self, now: datetime) -> datetime | None:
        """When the next WANTED transfer is due; ``now`` if one is due already; None: nothing is wanted."""

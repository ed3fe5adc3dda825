"""What the state remembers, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from artifact_sync.core.model import KeepResult, StagedFile, Transfer
from artifact_sync.errors import Outcome

__all__ = [
    "KeepEntry",
    "PartRecord",
    "Progress",
    "QueuedTransfer",
    "Summary",
    "TransferState",
    "Trouble",
    "WatchedPipeline",
]


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
    #: Whether any child pipeline was ever seen.
    children: bool = True
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
    #: What was counted since the state was made, by name.
    counts: dict[str, int]

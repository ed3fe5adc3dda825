"""What the state remembers, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from artifact_sync.core.model import KeepResult, StagedFile, Transfer
from artifact_sync.errors import Outcome

__all__ = [
    "KeepEntry",
    "KnownTransfer",
    "PartRecord",
    "PinnedJob",
    "Progress",
    "PruneOrder",
    "PruneReport",
    "Pruned",
    "QueuedTransfer",
    "RetentionLook",
    "Summary",
    "TransferState",
    "Trouble",
    "WatchedPipeline",
]


class TransferState(StrEnum):
    """Where a transfer stands. WANTED may have a retry time; FAILED is final until asked for again.

    PRUNED was published, and retention took it: it is mirrored no more, and never wanted again. PRUNING is on its way there,
    or back.
    """

    WANTED = "wanted"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    PUBLISHED = "published"
    FAILED = "failed"
    LOST = "lost"
    PRUNING = "pruning"
    PRUNED = "pruned"


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
class Pruned:
    """How retention took a publication away."""

    at: datetime
    why: str
    #: Its name in the trash; None once that was emptied of it.
    trash: str | None
    #: PRUNING: its files are on their way back.
    restoring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTransfer:
    """A transfer and how far it has come."""

    id: int
    transfer: Transfer
    state: TransferState
    #: Attempts that failed; a claim, a stop and a crash are not counted.
    attempts: int = 0
    next_attempt_at: datetime | None = None
    #: Of the last attempt.
    outcome: Outcome | None = None
    error: str = ""
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTransfer(KnownTransfer):
    """A transfer with its place in the state."""

    #: STAGED: what waits in staging. Else: what was published so far (a transfer can gain items and be wanted again).
    files: tuple[StagedFile, ...] = ()
    #: PRUNING or PRUNED: when and why.
    pruned: Pruned | None = None
    #: Of the manifest as it was written; empty where nothing is published.
    manifest_sha256: str = ""
    #: When everything of it was last hashed in the store; None: not since it was published.
    verified_at: datetime | None = None

    @property
    def size(self) -> int:
        """Bytes of the files that are visible."""
        return sum(file.size for file in self.files if file.published)


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
class PinnedJob:
    """A job whose publications stay, whatever retention says."""

    project_id: int
    #: As it was when it was pinned.
    project_path: str
    job_id: int
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLook:
    """What retention found when it looked last, before it did anything."""

    at: datetime
    publications: int
    #: Publications that no present rule selects, and their bytes.
    orphans: int
    orphan_bytes: int
    #: What was to go.
    removable: int
    removable_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrder:
    """What a person asks of the process that works on the store."""

    #: Bring back what is in the trash, instead of pruning.
    undo: bool = False
    #: Publications that no present rule selects go as well.
    orphans: bool = False
    #: Only as long as it does not remove more than one prune may unasked.
    limited: bool = False
    #: Of ``undo``: only these destinations, projects or jobs; empty: everything.
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What a prune, or its undoing, did."""

    pruned: int = 0
    pruned_bytes: int = 0
    restored: int = 0
    restored_bytes: int = 0
    #: What it could not do, each with the reason.
    problems: tuple[str, ...] = ()


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
    #: When a publication was last verified in the store, and since when another was not (nor published); None: none is there.
    last_verified: datetime | None = None
    oldest_verified: datetime | None = None
    retention: RetentionLook | None = None
    #: What was pruned and can be brought back.
    in_trash: int = 0
    trash_bytes: int = 0
    pins: int = 0

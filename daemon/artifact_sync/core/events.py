"""What happens, as frozen values. Progress bars, plain lines, logs and metrics are all subscribers to these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from artifact_sync.core.after import HookKind
from artifact_sync.core.inspection import Damage
from artifact_sync.core.model import KeepResult, Transfer
from artifact_sync.errors import Outcome

__all__ = [
    "Audited",
    "Damaged",
    "Discovered",
    "Emit",
    "Event",
    "Foreign",
    "HookEnded",
    "HooksDropped",
    "Kept",
    "LatestFailed",
    "LatestMoved",
    "Mended",
    "Names",
    "OfTransfer",
    "ProjectFailed",
    "ProjectFound",
    "PruneRefused",
    "PublicationPruned",
    "PublicationRestored",
    "Received",
    "Recovered",
    "Selected",
    "Started",
    "Stopping",
    "TransferEnded",
    "TransferStarted",
    "TrashEmptied",
    "WebhookReceived",
    "names_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The daemon has its store and its state, and begins."""

    version: str
    url: str
    store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFound:
    """A project named by a rule is visible for the first time, and will be followed."""

    project_id: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFailed:
    """One project's poll failed; the others go on."""

    project: str
    error: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A page of jobs was looked at."""

    project_id: int
    path: str
    jobs: int
    selected: int


class Names(TypedDict):
    """What a transfer is called wherever it is told of."""

    project: str
    job_id: int
    job: str
    ref: str
    dest: str


def names_of(transfer: Transfer) -> Names:
    """The fields of ``OfTransfer``."""
    job = transfer.job
    return Names(project=transfer.project_path, job_id=job.id, job=job.name, ref=job.ref, dest=transfer.dest)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTransfer:
    """Something happened to one transfer, or to its publication."""

    project: str
    job_id: int
    job: str
    ref: str
    dest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected(OfTransfer):
    """A job was taken by at least one rule and queued; not emitted again for what is already known."""

    rules: tuple[str, ...]
    #: Bytes, where announced.
    size: int | None
    deadline: datetime | None
    #: It was seen unfinished before, by an earlier poll.
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStarted(OfTransfer):
    """A worker took a transfer."""

    transfer_id: int
    #: Bytes expected, where known.
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Bytes of a transfer were written to staging. ``received`` is the running sum; it falls when a part starts over."""

    transfer_id: int
    received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEnded(OfTransfer):
    """An attempt ended; ``outcome`` says how. ``retry_at`` is set when it will be tried again."""

    transfer_id: int
    outcome: Outcome
    #: Bytes published.
    size: int = 0
    seconds: float = 0.0
    error: str = ""
    hint: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`keep` was called for a job; ``result`` is what the re-read showed."""

    project: str
    job_id: int
    job: str
    rule: str
    expire_at: datetime | None
    result: KeepResult
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A project was listed completely: ``missing`` of its selected jobs were not known, and are wanted now."""

    project_id: int
    path: str
    jobs: int
    selected: int
    missing: int
    #: New to the state as well, but discovery had not come to them yet. They are wanted now, too.
    ahead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged(OfTransfer):
    """A publication is not in the store as it was published."""

    #: The first of them.
    damages: tuple[Damage, ...]
    #: How many there are.
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended(OfTransfer):
    """What was damaged of a publication was set aside. It is whole again from good copies, or else wanted again."""

    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Something that nobody published stands among a publication's files. It is left alone."""

    dest: str
    #: The first of them.
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEnded(OfTransfer):
    """An attempt of what a rule wants after a publication ended. ``retry_at`` is set when it will be tried again."""

    rule: str
    kind: HookKind
    #: ``done``, ``failed`` (also of an attempt that is not the last), or ``skipped``.
    result: str
    #: Number of the attempt, from 1.
    attempt: int
    seconds: float = 0.0
    #: What it said, or why it failed.
    detail: str = ""
    hint: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksDropped:
    """So many hooks were due that no rule wants any more."""

    rule: str
    kind: HookKind
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestMoved:
    """A link to the newest publication points at this one."""

    link: str
    dest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestFailed:
    """A link could not be pointed at a publication, which stands nevertheless."""

    link: str
    dest: str
    error: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationPruned(OfTransfer):
    """Retention moved a publication into the trash."""

    #: Bytes.
    size: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRestored(OfTransfer):
    """A publication came back from the trash."""

    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRefused:
    """Retention would remove more than one prune may, so that it removed nothing."""

    removable: int
    publications: int
    #: How many it may.
    most: int
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashEmptied:
    """Publications left the trash for good."""

    publications: int
    #: Bytes that became free with the objects that nobody shares any more.
    freed: int
    #: Before their time, because the disk is below ``store.min_free``.
    early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What the start found from the run before."""

    republished: int
    restarted: int
    strays_removed: int
    missing: int
    #: Ways into the trash, or out of it, that were completed.
    pruned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """A stop was asked for; running parts are made resumable."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReceived:
    """GitLab delivered a webhook, or somebody tried to."""

    #: ``accepted``, ``duplicate``, ``ignored`` (it says nothing of use), ``refused`` (not proved to be GitLab's), or
    #: ``overflow`` (nobody had time for it; polling finds what it was about).
    result: str


Event = (
    Started
    | ProjectFound
    | ProjectFailed
    | Discovered
    | Selected
    | TransferStarted
    | Received
    | TransferEnded
    | Kept
    | Audited
    | Damaged
    | Mended
    | Foreign
    | HookEnded
    | HooksDropped
    | LatestMoved
    | LatestFailed
    | PublicationPruned
    | PublicationRestored
    | PruneRefused
    | TrashEmptied
    | Recovered
    | Stopping
    | WebhookReceived
)
Emit = Callable[[Event], None]

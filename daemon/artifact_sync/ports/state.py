"""What must survive a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from artifact_sync.core.model import KeepDue, Transfer
from artifact_sync.ports.hooks import Outbox
from artifact_sync.ports.pruning import PruningState
from artifact_sync.ports.records import (
    KeepEntry,
    PartRecord,
    Progress,
    QueuedTransfer,
    Summary,
    Trouble,
    WatchedPipeline,
)
from artifact_sync.ports.verification import VerifyingState

__all__ = ["State"]


class State(PruningState, VerifyingState, Outbox, Protocol):
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
        items; what it was to bring and no rule asks for any more is dropped. It is otherwise left alone, and one that retention took in any
        case. A destination that differs only in case from another job's gets the suffix ``%~<job id>``. ``keeps`` of a known (project, job, rule) are left alone.
        """

    async def want(
        self, found: Sequence[Transfer], *, keeps: Sequence[KeepDue] = (), now: datetime
    ) -> tuple[QueuedTransfer, ...]:
        """``save_progress`` without any progress: what an audit finds, also beside a daemon that makes progress."""

    async def watch(self, pipelines: Sequence[WatchedPipeline]) -> None:
        """Watch them, whatever progress is made. Of those that are watched already the look is replaced."""

    async def hasten(self, project_id: int, now: datetime) -> None:
        """All watched pipelines of the project are due now, if they were not before."""

    async def watched(self, project_id: int) -> frozenset[int]:
        """Ids of all watched pipelines of the project."""

    async def due_pipelines(self, project_id: int, now: datetime, limit: int) -> tuple[WatchedPipeline, ...]:
        """Watched pipelines whose time to look has come: those that moved since they were looked at first.

        Of these, and of the others, those that wait longest, and then the newest.
        """

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

    async def count(self, counts: Mapping[str, int]) -> None:
        """Add to what was counted under each name."""

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

    async def shift_keeps(
        self,
        project_id: int,
        *,
        ref: str | None = None,
        due_by: datetime,
        to: datetime,
        first: datetime | None = None,
    ) -> None:
        """Keeps of the project (of the ``ref`` alone, if given) that are due by ``due_by`` are due at ``to`` instead.

        With ``first``, a moment, the downloads of their jobs go before everything that is not due by then.
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

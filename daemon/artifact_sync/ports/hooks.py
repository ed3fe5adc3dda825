"""What runs after a publication: what the state remembers of it, and who runs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from artifact_sync.core.after import HookKind
from artifact_sync.ports.records import QueuedTransfer

__all__ = ["Commands", "DroppedHooks", "DueHook", "HookFigures", "HookState", "Outbox", "QueuedHook", "Webhooks"]


class HookState(StrEnum):
    """Where a hook stands. SKIPPED: it was found that it must not, or need not, run; FAILED is final until asked for again."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueHook:
    """A hook that waits. Those of later publications have higher ids."""

    id: int
    rule: str
    kind: HookKind
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedHook:
    """One hook of one publication, with all that is known of it."""

    id: int
    rule: str
    kind: HookKind
    queued: QueuedTransfer
    #: Of the publication that it is due for.
    manifest_sha256: str
    published_at: datetime
    state: HookState = HookState.WAITING
    #: Attempts that failed; a stop and a crash are not counted.
    attempts: int = 0
    due_at: datetime
    ended_at: datetime | None = None
    #: What came of the last attempt, or why it waits.
    detail: str = ""
    #: What a person can do about it.
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedHooks:
    """How many hooks no rule wants any more."""

    rule: str
    kind: HookKind
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFigures:
    """What `status` and `hooks` show."""

    by_state: Mapping[HookState, int]
    #: Those that wait for a reason of their own, oldest first; a few.
    retrying: tuple[QueuedHook, ...]
    #: Newest first; a few.
    failures: tuple[QueuedHook, ...]


class Outbox(Protocol):
    """The hooks that are due: written with the step that publishes (``Queue.publish``), so that a crash forgets none.

    Every method is one durable transaction. Raises StateError, NoSpace.
    """

    async def next_hooks(self, wanted: Collection[tuple[str, HookKind]], *, limit: int) -> tuple[DueHook, ...]:
        """Of each rule and kind the WAITING hook of its oldest publication, whether its time has come or not.

        Deletions do not wait for each other: of them the ``limit`` that come first by time.
        """

    async def hook(self, hook_id: int) -> QueuedHook | None:
        """One of them; None: it is not there any more."""

    async def hook_ended(self, hook_id: int, state: HookState, *, detail: str, hint: str = "", at: datetime) -> None:
        """It is DONE, FAILED or SKIPPED. A failure counts as an attempt."""

    async def hook_again(self, hook_id: int, *, detail: str, hint: str = "", due_at: datetime, counted: bool) -> None:
        """It stays WAITING until ``due_at``; ``counted``: because an attempt failed."""

    async def drop_hooks(
        self, wanted: Collection[tuple[str, HookKind]], *, detail: str, at: datetime
    ) -> tuple[DroppedHooks, ...]:
        """WAITING hooks of no wanted rule and kind become SKIPPED."""

    async def retry_hooks(self, *, now: datetime, job: tuple[int, int] | None = None) -> int:
        """FAILED becomes WAITING, with its attempts to come again; how many. ``job``: of this project and job alone."""

    async def hooks_of(self, project_id: int, job_id: int) -> tuple[QueuedHook, ...]:
        """Every hook of one job, oldest first."""

    async def hook_figures(self) -> HookFigures:
        """Figures and a few examples."""

    async def always_kept_by(self, project_id: int, job_id: int) -> frozenset[str]:
        """Names of the rules that have, or had, the job's artifacts kept whatever becomes of them here."""


class Commands(Protocol):
    """Runs commands of this machine."""

    async def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run one to its end; its last words. ``environment`` is added to a clean one.

        When cancelled it is given a few seconds to end, and is ended then; it counts as not run unless it succeeded meanwhile.
        Raises HookFailed when it cannot be started, takes too long, or ends with another code than 0.
        """


class Webhooks(Protocol):
    """Tells other machines."""

    async def post(self, url: str, body: bytes, *, key: str, at: datetime) -> str:
        """POST JSON, signed where there is a secret; the answer in a word. Raises HookFailed for anything but 2xx."""

"""Workers bring transfers over: steps P0 to P7 of the publish protocol, in that order and nowhere else."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import anyio
import structlog
from structlog.contextvars import bound_contextvars

from artifact_sync.core.events import Emit, TransferEnded, TransferStarted, names_of
from artifact_sync.core.model import StagedFile, Transfer
from artifact_sync.engine.bell import Bell, rung
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.engine.retrying import next_attempt
from artifact_sync.errors import (
    ArtifactSyncError,
    CredentialRefused,
    DoesNotFit,
    NoSpace,
    Outcome,
    StateError,
    StoreDamaged,
    Throttled,
    Transient,
)
from artifact_sync.ports import Clock, Publication, Queue, QueuedTransfer, Store
from artifact_sync.ports.steps import Steps, waiting, watched
from artifact_sync.ports.tracing import failed, noted, span

__all__ = ["Fetches", "Probe", "Tally", "Workers"]

log = structlog.get_logger()

#: Whether GitLab refuses the credential everywhere, asked when it was refused for one download. Raises nothing of ours.
Probe = Callable[[], Awaitable[bool]]

#: Seconds after which the queue is looked at without a reason (another process may have put something into it), and between
#: two looks at the least.
_LOOK, _LEAST = 15.0, 1.0
#: Seconds that everybody waits when the disk is full or the credential refused.
_PAUSE = 30.0
#: Failures of the store's disk in a row after which the daemon ends, so that a supervisor sees it.
_DAMAGES = 3
#: So many transfers that fail one after another, and none that succeeds, are an outage.
_OUTAGE = 3
#: Seconds without a download after that, doubled with each one that fails still; and how long the first one that is tried
#: then is waited for.
_FIRST_REST, _LONGEST_REST, _PROBE = 15.0, 300.0, 30.0


class Fetches(Protocol):
    """Steps P1 to P4."""

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        """Bring every item into staging, verified and durable; raises what the errors module says about outcomes."""


class Follows(Protocol):
    """What must have happened before a publication counts as such."""

    async def published(self, transfer: Transfer) -> None:
        """It stands, whole and durable. Safe to call again. Raises NoSpace, StoreDamaged, StateError."""


@dataclass(slots=True)
class Tally:
    """What the workers have done so far."""

    published: int = 0
    published_bytes: int = 0
    failed: int = 0
    retries: int = 0


async def _always() -> bool:
    return True


class Workers:
    """``policy.downloads`` workers on one queue. Without a ``probe`` a credential refused once is refused everywhere."""

    def __init__(
        self,
        *,
        queue: Queue,
        store: Store,
        fetcher: Fetches,
        clock: Clock,
        policy: EnginePolicy,
        emit: Emit,
        probe: Probe = _always,
        latest: Follows | None = None,
    ) -> None:
        self._queue = queue
        self._store = store
        self._fetcher = fetcher
        self._clock = clock
        self._policy = policy
        self._emit = emit
        self._probe = probe
        self._latest = latest
        self._bell = Bell()
        self._damages = 0
        self._paused_until = 0.0
        self._last_pause: ArtifactSyncError | None = None
        #: Whether a single pass is made, which does not wait for better times.
        self._once = False
        #: Transfers that failed since the last one that succeeded, for a reason that may be everybody's; a few.
        self._failing: set[int] = set()
        self._rests = 0
        #: Workers that wait for work.
        self._idle = 0
        #: Workers that there are, and what has one more begin; None where none work.
        self._staff = 0
        self._hire: Callable[[], object] | None = None
        #: Of those at work.
        self._steps: set[Steps] = set()
        self.tally = Tally()

    def on(self, queue: Queue) -> Workers:
        """Others like these, that work on another queue."""
        return Workers(
            queue=queue,
            store=self._store,
            fetcher=self._fetcher,
            clock=self._clock,
            policy=self._policy,
            emit=self._emit,
            probe=self._probe,
            latest=self._latest,
        )

    def renew(self, policy: EnginePolicy) -> None:
        """Other limits from now on. Nothing is given up for them: a worker that is one too many ends after its transfer."""
        self._policy = policy
        self._complete()
        self.wake()

    @property
    def still(self) -> float:
        """Seconds since the last step of the worker that made none for longest; waits with an end of their own are none."""
        return max((steps.still for steps in self._steps), default=0.0)

    def begin(self) -> None:
        """Begin a pass: nothing done yet, and what stopped the last one may be mended."""
        self.tally = Tally()
        self._paused_until, self._last_pause = 0.0, None

    def wake(self) -> None:
        """There may be work."""
        self._bell.ring()

    async def run(self, finish: anyio.Event | None = None) -> None:
        """Work until cancelled; with ``finish``, until it is set and nothing is left to try.

        Raises StateError, StoreDamaged after several in a row; with ``finish`` also NoSpace and CredentialRefused,
        because a single pass does not wait for a person.
        """
        self._once = finish is not None
        async with anyio.create_task_group() as timing:
            timing.start_soon(self._ring_when_due)
            async with anyio.create_task_group() as group:
                self._staff, self._hire = 0, partial(group.start_soon, self._worker, finish)
                self._complete()
            timing.cancel_scope.cancel()

    def _complete(self) -> None:
        """Have as many workers as there may be."""
        while self._hire is not None and self._staff < self._policy.downloads:
            self._staff += 1
            self._hire()

    async def _worker(self, finish: anyio.Event | None) -> None:
        while True:
            if self._staff > self._policy.downloads:
                self._staff -= 1
                return
            pause = self._paused_until - self._clock.monotonic()
            if pause > 0:
                if finish is not None and self._last_pause is not None:
                    raise self._last_pause
                await self._clock.sleep(pause)
                continue
            if self._outage:
                # One tries whether it is over; the others see first what that brings.
                self._paused_until = self._clock.monotonic() + _PROBE
            ring = self._bell.next_ring
            try:
                queued = await self._queue.claim(self._clock.now())
            except NoSpace as error:
                # The state's disk is full. Whatever serves and keeps goes on, and so does this once there is room.
                self._pause(error)
                continue
            if queued is not None:
                with watched(self._clock) as steps:
                    self._steps.add(steps)
                    try:
                        with bound_contextvars(transfer=queued.id, job=queued.transfer.job.id), _span_of(queued):
                            await self._transfer(queued)
                    finally:
                        self._steps.discard(steps)
                continue
            if finish is not None and finish.is_set() and not await self._queue.open_count():
                self.wake()
                return
            self._idle += 1
            try:
                await ring.wait()
            finally:
                self._idle -= 1

    async def _ring_when_due(self) -> None:
        """Wake the workers when a retry is due, and now and then for what another process put into the queue."""
        while True:
            ring = self._bell.next_ring
            now = self._clock.now()
            due = await self._queue.next_attempt(now)
            left = _LOOK if due is None else (due - now).total_seconds()
            # What is due already waits for a worker that is free: none of them needs to be woken often.
            await rung(ring, min(_LOOK, left) if left > 0 else _LEAST, self._clock)
            if ring is self._bell.next_ring:
                self.wake()

    async def _transfer(self, queued: QueuedTransfer) -> None:
        transfer = queued.transfer
        sizes = [item.size for item in transfer.items]
        total = sum(size or 0 for size in sizes) if None not in sizes else None
        self._emit(
            TransferStarted(
                transfer_id=queued.id,
                **names_of(transfer),
                total=total,
            )
        )
        began = self._clock.monotonic()
        staged = False
        try:
            files = await self._fetcher.fetch(queued)
            # The point of no return: from here on recovery can prove the files' identity and finishes the publication.
            with anyio.CancelScope(shield=True):
                await self._queue.stage(queued.id, files)
                staged = True
                now = self._clock.now()
                published = await self._store.publish(Publication(transfer=transfer, files=files, at=now))
                if self._latest is not None:
                    await self._latest.published(transfer)
                await self._queue.publish(queued.id, published, now)
        except StateError:
            raise
        except ArtifactSyncError as error:
            await self._failed(queued, error, self._clock.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - a defect met by one job must not keep all others from being mirrored
            await self._failed(queued, _crashed(queued, error), self._clock.monotonic() - began)
        except BaseException:
            if not staged:
                with anyio.CancelScope(shield=True):
                    await self._queue.release(queued.id)
            raise
        else:
            self._damages = 0
            if self._outage:
                self._paused_until = 0.0
            self._failing.clear()
            self._rests = 0
            self.tally.published += 1
            self.tally.published_bytes += published.size
            self._ended(queued, Outcome.PUBLISHED, size=published.size, seconds=self._clock.monotonic() - began)
            # It makes nothing due; who has nothing to do may have waited for this one, the last.
            if self._idle:
                self.wake()

    async def _failed(self, queued: QueuedTransfer, error: ArtifactSyncError, seconds: float) -> None:
        outcome = error.outcome
        for_all = await self._concerns_all(error)
        if isinstance(error, StoreDamaged):
            self._damages += 1
            if self._damages >= _DAMAGES:
                await self._queue.release(queued.id)
                raise error
        if for_all:
            # Nobody's download succeeds now, and none of them is to blame.
            told = self._last_pause is not None and self._clock.monotonic() < self._paused_until
            self._pause(error)
            await self._written(partial(self._queue.release, queued.id))
            retry_at: datetime | None = self._clock.now() + timedelta(seconds=_PAUSE)
            if told:
                self._ended(queued, outcome, seconds=seconds, retry_at=retry_at)
                return
        else:
            self._suspect(queued, error)
            retry_at = next_attempt(queued, error, policy=self._policy, now=self._clock.now(), once=self._once)
            await self._written(partial(self._queue.fail, queued.id, outcome, str(error), retry_at=retry_at))
            if retry_at is None:
                self.tally.failed += 1
            else:
                self.tally.retries += 1
        self._ended(queued, outcome, seconds=seconds, error=error, retry_at=retry_at)
        self.wake()

    def _pause(self, error: ArtifactSyncError) -> None:
        self._last_pause = error
        self._paused_until = self._clock.monotonic() + _PAUSE

    async def _written(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write a transfer's end down, as soon as the state's disk has room for it. Raises NoSpace in a single pass."""
        while True:
            try:
                return await write()
            except NoSpace as error:
                if self._once:
                    raise
                self._pause(error)
                with waiting():
                    await self._clock.sleep(_PAUSE)

    @property
    def _outage(self) -> bool:
        return not self._once and len(self._failing) >= _OUTAGE

    def _suspect(self, queued: QueuedTransfer, error: ArtifactSyncError) -> None:
        """Rest where nobody's download succeeds: a storage that fails is not asked for each of them again and again."""
        if not isinstance(error, Transient) or isinstance(error, Throttled):
            return
        if len(self._failing) < _OUTAGE:
            self._failing.add(queued.id)
        if self._outage:
            rest = min(_FIRST_REST * (1 << min(self._rests, 16)), _LONGEST_REST)
            self._paused_until = self._clock.monotonic() + rest
            self._rests += 1

    async def _concerns_all(self, error: ArtifactSyncError) -> bool:
        """Whether no other transfer would fare better now."""
        if isinstance(error, CredentialRefused):
            known = isinstance(self._last_pause, CredentialRefused) and self._clock.monotonic() < self._paused_until
            return known or await self._probe()
        return isinstance(error, NoSpace) and not isinstance(error, DoesNotFit)

    def _ended(
        self,
        queued: QueuedTransfer,
        outcome: Outcome,
        *,
        seconds: float,
        size: int = 0,
        error: ArtifactSyncError | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        noted(outcome=outcome.value, bytes=size)
        if outcome is not Outcome.PUBLISHED:
            failed(outcome.value, str(error) if error else "")
        self._emit(
            TransferEnded(
                transfer_id=queued.id,
                **names_of(queued.transfer),
                outcome=outcome,
                size=size,
                seconds=seconds,
                error=str(error) if error else "",
                hint=error.hint if error else "",
                retry_at=retry_at,
            )
        )


def _span_of(queued: QueuedTransfer) -> AbstractContextManager[None]:
    transfer = queued.transfer
    return span(
        "transfer",
        transfer=queued.id,
        project=transfer.project_path,
        job=transfer.job.id,
        name=transfer.job.name,
        ref=transfer.job.ref,
        dest=transfer.dest,
        attempt=queued.attempts + 1,
    )


def _crashed(queued: QueuedTransfer, error: Exception) -> ArtifactSyncError:
    """The failure that a defect of this program is to its transfer. Its text is in the log alone: it may quote anything."""
    # One text, so that what masks credentials in the log sees it; and without the values of local variables.
    trace = "".join(traceback.format_exception(error))
    log.error("transfer.crashed", transfer=queued.id, job=queued.transfer.job.id, traceback=trace)
    return ArtifactSyncError(
        f"{type(error).__name__} inside artifact-sync",
        hint="This is an error in artifact-sync: please report it, with the line transfer.crashed of the log.",
    )

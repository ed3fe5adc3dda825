"""Ask GitLab to keep what would expire before it is mirrored.

Its own task with its own place in the request budget, so that no download can starve it. A keep is believed only when the
job, read again, has no expiry and still lists its archive: the answer to the call itself does not tell
(https://docs.gitlab.com/api/job_artifacts/#keep-artifacts; it is 404 once the expiry has passed, even where the files
are still there).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
from structlog.contextvars import bound_contextvars

from artifact_sync.core.events import Kept
from artifact_sync.core.model import Job, KeepDue, KeepResult
from artifact_sync.engine.bell import Bell, rung
from artifact_sync.engine.means import Means
from artifact_sync.engine.refusals import Refusals
from artifact_sync.errors import CredentialRefused, Denied, NotFound, RemoteError
from artifact_sync.ports import KeepEntry, Priority, Trouble
from artifact_sync.ports.tracing import failed, noted, span

__all__ = ["Keeper"]

#: Seconds after which the state is looked at without a reason.
_LOOK = 300.0
_BATCH = 50
#: Of the time that is left, the part after which a failed keep is tried again.
_TRIES_LEFT = 4
_LEAST_WAIT = timedelta(seconds=1)
_FIRST_WAIT = timedelta(seconds=15)
#: The server's time is not known to the second; so long after an expiry it refuses for certain.
_SURELY_EXPIRED = timedelta(minutes=5)
#: Endings after which nothing but the download can save the artifacts.
_ONLY_FETCHED = frozenset({KeepResult.EXPIRED, KeepResult.DENIED, KeepResult.UNCONFIRMED})


@dataclass(frozen=True, slots=True)
class _Ending:
    result: KeepResult
    detail: str = ""
    #: Whether it makes sense to call again.
    again: bool = False
    #: Whether it is the project that refuses, or all of GitLab, and not this job.
    refused: bool = False


class Keeper:
    """Calls the keeps that are due."""

    def __init__(self, means: Means) -> None:
        self._remote = means.remote
        self._state = means.state
        self._clock = means.clock
        self._emit = means.emit
        self._limiter = anyio.CapacityLimiter(means.policy.keeps)
        self._refusals = Refusals()
        self._bell = Bell()
        self._turn = anyio.Lock()

    def wake(self) -> None:
        """There may be a keep that is due."""
        self._bell.ring()

    async def run(self) -> None:
        """Call keeps as they come due, until cancelled. Raises StateError."""
        while True:
            ring = self._bell.next_ring
            if not await self.due():
                soonest = await self._state.next_keep()
                left = _LOOK if soonest is None else (soonest - self._clock.now()).total_seconds()
                await rung(ring, min(_LOOK, max(0.05, left)), self._clock)

    async def due(self) -> int:
        """Call what is due now, soonest expiry first; how many."""
        # One at a time: a keep stays due until its call has ended, and is not to be called twice.
        async with self._turn:
            due = await self._state.due_keeps(self._clock.now(), _BATCH)
            async with anyio.create_task_group() as group:
                for keep in due:
                    group.start_soon(self._keep, keep)
        return len(due)

    async def _keep(self, due: KeepDue) -> None:
        async with self._limiter:
            now = self._clock.now()
            if (until := self._refusals.until(due.project_id, due.ref, now)) is not None:
                # Nothing but their downloads can save them meanwhile.
                await self._state.shift_keeps(due.project_id, ref=due.ref, due_by=now, to=until, first=now)
                return
            if now - due.expire_at > _SURELY_EXPIRED:
                ending = _Ending(KeepResult.EXPIRED, "not asked: the expiry had passed")
            else:
                with (
                    bound_contextvars(job=due.job_id),
                    span("keep", project=due.project_path, job=due.job_id, name=due.job_name, rule=due.rule),
                ):
                    ending = await self._called(due)
                    noted(result=ending.result.value)
                    if ending.result is not KeepResult.KEPT:
                        failed(ending.result.value, ending.detail)
        now = self._clock.now()
        again_at = self._again_at(due, now) if ending.again else None
        if ending.refused and again_at is not None:
            again_at = self._refusals.refused(due.project_id, due.ref, now)
        kept = ending.result is KeepResult.KEPT
        entry = KeepEntry(
            at=now,
            project_id=due.project_id,
            project_path=due.project_path,
            job_id=due.job_id,
            job_name=due.job_name,
            rule=due.rule,
            reason="the rule always keeps" if due.always else f"not mirrored, and expires {due.expire_at.isoformat()}",
            expire_at=due.expire_at,
            result=ending.result,
            detail=ending.detail,
        )
        expire_at = None if kept else due.expire_at
        await self._state.keep_done(
            due, entry, again_at=again_at, expire_at=expire_at, first=ending.result in _ONLY_FETCHED
        )
        await self._noted(due, ending, now)
        self._emit(
            Kept(
                project=due.project_path,
                job_id=due.job_id,
                job=due.job_name,
                rule=due.rule,
                expire_at=due.expire_at,
                result=ending.result,
                detail=ending.detail,
            )
        )

    async def _called(self, due: KeepDue) -> _Ending:
        try:
            await self._remote.keep(due.project_id, due.job_id)
            job = await self._job(due)
        except NotFound as error:
            # Too late, or there is no archive any more: only the download can save it now.
            return _Ending(KeepResult.EXPIRED, str(error))
        except CredentialRefused as error:
            return _Ending(KeepResult.DENIED, str(error), again=True)
        except Denied as error:
            return _Ending(KeepResult.DENIED, await self._why_denied(due, error), again=True, refused=True)
        except RemoteError as error:
            return _Ending(KeepResult.FAILED, str(error), again=True)
        if job.artifacts_expire_at is None and job.archive is not None:
            return _Ending(KeepResult.KEPT)
        shown = job.artifacts_expire_at.isoformat() if job.artifacts_expire_at else "no archive listed"
        return _Ending(KeepResult.UNCONFIRMED, f"after the call the job shows: {shown}", again=job.archive is not None)

    async def _job(self, due: KeepDue) -> Job:
        return await self._remote.job(due.project_id, due.job_id, priority=Priority.KEEP)

    async def _why_denied(self, due: KeepDue, error: Denied) -> str:
        """A 403 for a write is no proof of missing rights: GitLab in maintenance answers reads, and refuses writes."""
        try:
            await self._job(due)
        except RemoteError as also:
            return f"{error}; reading the job fails too: {also}"
        return f"{error}; the job can be read: the token may not keep, or GitLab is in maintenance"

    async def _noted(self, due: KeepDue, ending: _Ending, now: datetime) -> None:
        """What one answer tells of the project's other jobs."""
        subject = f"keep in {due.project_path}"
        if ending.refused:
            hint = (
                "What expires there is downloaded first meanwhile. Give the token's user the right to keep artifacts (on a "
                "protected branch: to push or merge there), or name a token that may with gitlab.keep_token."
            )
            await self._state.note_trouble(Trouble(subject=subject, error=ending.detail, hint=hint, since=now))
        elif ending.result is KeepResult.KEPT and (until := self._refusals.granted(due.project_id)) is not None:
            await self._state.clear_trouble(subject)
            await self._state.shift_keeps(due.project_id, due_by=until, to=now)

    def _again_at(self, due: KeepDue, now: datetime) -> datetime | None:
        left = due.expire_at - now
        if left <= timedelta():
            return None
        soon = _FIRST_WAIT * (1 << min(due.attempts, 16))
        return now + max(_LEAST_WAIT, min(soon, left / _TRIES_LEFT))

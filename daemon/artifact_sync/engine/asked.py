"""Jobs that somebody asks for before discovery has met them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio

from artifact_sync.core.model import Candidate
from artifact_sync.core.planning import keeps, plan
from artifact_sync.core.rules import explain
from artifact_sync.engine.judging import latest_ids
from artifact_sync.engine.means import Means
from artifact_sync.engine.projects import known_as
from artifact_sync.errors import NotFound
from artifact_sync.ports import Priority, TransferState

__all__ = ["Asked"]

#: Seconds that anybody waits for a job, and between two looks at its transfers.
WAIT, _LOOK = 60.0, 0.2
#: Jobs that are asked for at the same time, so that guessed numbers do not use up GitLab's quota.
_AT_ONCE = 4
#: For this long no rule's answer is asked again, and of so many jobs that is remembered.
_REMEMBERED = timedelta(minutes=1)
_MOST = 1000
_ENDED = frozenset({TransferState.PUBLISHED, TransferState.FAILED, TransferState.PRUNED})


class Asked:
    """Brings single jobs over, by the rules that select them and the way that all others go."""

    def __init__(self, means: Means, wake: Callable[[], None], *, wait: float = WAIT) -> None:
        self._means = means
        self._wake = wake
        self._wait = wait
        self._looking = anyio.CapacityLimiter(_AT_ONCE)
        self._under_way: dict[tuple[int | str, int], anyio.Event] = {}
        #: Jobs that no rule selects or GitLab does not show, with the monotonic time until which that is believed.
        self._in_vain: dict[tuple[int | str, int], float] = {}

    def renew(self, means: Means) -> None:
        """By other rules from now on, which may select what was asked for in vain."""
        self._means = means
        self._in_vain.clear()

    async def bring(self, project: int | str, job_id: int) -> int | None:
        """Have the job mirrored; its project's id once its transfers have ended, however they did.

        None where no rule selects it, or GitLab does not show it. Whoever asks for the same job meanwhile waits for the same
        transfer. Raises TimeoutError after ``wait`` seconds, while it goes on; what Remote and State raise.
        """
        key = (project, job_id)
        until = self._in_vain.get(key)
        if until is not None and until > self._means.clock.monotonic():
            return None
        while (other := self._under_way.get(key)) is not None:
            with anyio.fail_after(self._wait):
                await other.wait()
            if key in self._in_vain:
                return None
        self._under_way[key] = mine = anyio.Event()
        try:
            with anyio.fail_after(self._wait):
                found = await self._bring(project, job_id)
        finally:
            del self._under_way[key]
            mine.set()
        if found is None:
            if len(self._in_vain) >= _MOST:
                self._in_vain.clear()
            self._in_vain[key] = self._means.clock.monotonic() + _REMEMBERED.total_seconds()
        return found

    async def _bring(self, named: int | str, job_id: int) -> int | None:
        means = self._means
        async with self._looking:
            try:
                project = await known_as(means.remote, await means.remote.project(named), means.rules)
                job = await means.remote.job(project.id, job_id)
                retried = False
                if job.pipeline is not None:
                    retried = job.id not in await latest_ids(
                        means.remote, project.id, job.pipeline.id, Priority.DOWNLOAD
                    )
            except NotFound:
                return None
            now = means.clock.now()
            candidate = Candidate(project=project, job=job, retried=retried)
            decisions = explain(candidate, means.rules, now) if job.finished else ()
            transfers = plan(candidate, decisions)
            if not transfers:
                return None
            due = keeps(candidate, decisions, now=now, poll_interval=means.policy.interval)
            await means.state.want(transfers, keeps=due, now=now)
        self._wake()
        # Rows of a database ring no bell.
        while any(  # noqa: ASYNC110
            queued.state not in _ENDED for queued in await means.state.find(project.id, job_id)
        ):
            await anyio.sleep(_LOOK)
        return project.id

"""The daemon's heart: discovery fills the queue, workers empty it, the keeper wins them time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import anyio

from artifact_sync.core.events import Emit, Event, TransferEnded
from artifact_sync.core.hints import Hint, Receipt
from artifact_sync.core.rules import Rule
from artifact_sync.engine.accounts import Accounts
from artifact_sync.engine.bell import Bell
from artifact_sync.engine.following import Following
from artifact_sync.engine.groups import single_error
from artifact_sync.engine.hooks import Hooks
from artifact_sync.engine.janitor import Janitor
from artifact_sync.engine.keeper import Keeper
from artifact_sync.engine.latest import Latest
from artifact_sync.engine.means import Means
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.engine.preview import Explanation, explained
from artifact_sync.engine.projects import known_as
from artifact_sync.engine.recovery import recover
from artifact_sync.engine.repair import Repaired, repair
from artifact_sync.engine.scrub import Scrubber
from artifact_sync.engine.verifying import Gauge
from artifact_sync.engine.workers import Fetches, Workers
from artifact_sync.errors import CredentialRefused, NoSpace, Outcome, RemoteError
from artifact_sync.ports import (
    Clock,
    Commands,
    Queue,
    QueuedTransfer,
    Remote,
    State,
    Store,
    TransferState,
    Webhooks,
)

__all__ = ["Engine", "SyncReport"]


@dataclass(slots=True, kw_only=True)
class SyncReport:
    """What one pass did."""

    projects: int = 0
    published: int = 0
    published_bytes: int = 0
    #: Transfers that this pass gave up.
    failed: int = 0
    #: Transfers that are not mirrored and not tried by themselves, those of earlier passes included.
    unmirrored: int = 0
    #: What ran after publications, and what of it failed for good; and what is left to a later pass.
    hooks_done: int = 0
    hooks_failed: int = 0
    hooks_waiting: int = 0
    #: What could not be looked at, each with its reason.
    problems: list[RemoteError] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything that the rules select is mirrored."""
        return not self.unmirrored and not self.problems


class Engine:
    """Works on one store with one state. Use ``recover`` first, then ``sync`` or ``run``."""

    def __init__(
        self,
        *,
        remote: Remote,
        store: Store,
        state: State,
        queue: Queue,
        fetcher: Fetches,
        clock: Clock,
        rules: Sequence[Rule],
        policy: EnginePolicy,
        emit: Emit,
        commands: Commands | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        means = Means(remote=remote, state=state, clock=clock, rules=rules, policy=policy, emit=emit)
        self._means = means
        self._remote = remote
        self._store = store
        self._state = state
        self._queue = queue
        self._clock = clock
        self._emit = emit
        self._accounts = Accounts(means)
        self._latest = Latest(store=store, state=state, clock=clock, rules=rules, emit=emit)
        self._workers = Workers(
            queue=queue,
            store=store,
            fetcher=fetcher,
            clock=clock,
            policy=policy,
            emit=self._heard,
            probe=self._credential_refused,
            latest=self._latest,
        )
        self._hooks = Hooks(means, store=store, emit=self._accounts.counting, commands=commands, webhooks=webhooks)
        self._scrubber = Scrubber(store=store, state=state, clock=clock, emit=emit)
        self._janitor = Janitor(means, store)
        self._keeper = Keeper(means)
        self._following = Following(means, found=self._found)
        #: What looks at GitLab now.
        self._looking: anyio.CancelScope | None = None
        #: Rung when other links are asked for, and the next ring that was not heard yet.
        self._relink = Bell()
        self._relinked = self._relink.next_ring

    async def recover(self) -> None:
        """Finish what the run before left. Raises StateError, StoreDamaged, NoSpace."""
        await self._state.clear_trouble()
        await self._hooks.drop()
        self._emit(
            await recover(
                store=self._store, state=self._state, queue=self._queue, clock=self._clock, latest=self._latest
            )
        )

    async def sync(self) -> SyncReport:
        """One complete pass: every project to its horizon, every transfer to its end.

        Failed transfers are tried ``policy.attempts`` times, and again in the next pass. Raises CredentialRefused,
        NoSpace, StateError, StoreDamaged; a RemoteError when no project could be asked at all.
        """
        report = SyncReport()
        await self._janitor.tidy()
        self._workers.begin()
        self._hooks.begin()
        await self._queue.revive()
        # A daemon has time: all that failed at once would look like an outage to it, and hold up what would not fail.
        await self._queue.hasten()
        finish = anyio.Event()
        with single_error():
            async with anyio.create_task_group() as keeping:
                keeping.start_soon(self._keeper.run)
                keeping.start_soon(self._accounts.run)
                keeping.start_soon(self._hooks.run)
                async with anyio.create_task_group() as working:
                    working.start_soon(self._workers.run, finish)
                    looked = await self._following.pass_over()
                    finish.set()
                    self._workers.wake()
                # What is due in this moment is called; what comes later is the daemon's, or the next pass's.
                while await self._keeper.due():
                    pass
                report.hooks_waiting = await self._hooks.finished()
                keeping.cancel_scope.cancel()
        # What the pass brought may push out what is older.
        await self._janitor.look()
        tally = self._workers.tally
        report.projects, report.problems = looked.projects, looked.problems
        report.published, report.published_bytes, report.failed = tally.published, tally.published_bytes, tally.failed
        report.hooks_done, report.hooks_failed = self._hooks.tally.done, self._hooks.tally.failed
        report.unmirrored = (await self._state.summary()).by_state.get(TransferState.FAILED, 0)
        if report.problems and not report.projects and not report.published:
            raise report.problems[0]
        return report

    async def run(self) -> None:
        """Follow GitLab until cancelled. Raises StateError; StoreDamaged after several in a row."""
        with single_error():
            async with anyio.create_task_group() as group:
                group.start_soon(self._workers.run)
                group.start_soon(self._keeper.run)
                group.start_soon(self._revive)
                group.start_soon(self._accounts.run)
                group.start_soon(self._janitor.run)
                group.start_soon(self._hooks.run)
                group.start_soon(self._follow_links)
                if self._means.policy.scrub is not None:
                    group.start_soon(self._scrubber.run, self._means.policy.scrub)
                await self._look()

    async def renew(
        self, *, rules: Sequence[Rule], policy: EnginePolicy, commands: Commands | None, relink: bool, relook: bool
    ) -> None:
        """Go on by other rules and limits. No transfer, keep, hook or prune that is under way is stopped.

        Looks at GitLab begin anew where anything changed that concerns them, as after a start; what they had found is saved.
        ``relink``: other links are asked for. ``relook``: what was refused may not be any more. Raises StateError.
        """
        before = self._means
        self._means = means = replace(before, rules=rules, policy=policy)
        self._latest.renew(rules)
        self._workers.renew(policy)
        self._janitor.renew(means)
        await self._hooks.renew(means, commands)
        if relink:
            self._relink.ring()
        if self._looking is None:
            self._following = Following(means, found=self._found)
        elif relook or _looks_by(policy) != _looks_by(before.policy):
            self._looking.cancel()

    async def pulse(self) -> float:
        """Seconds since the last step of the worker that made none for longest; once the state has answered. Raises StateError."""
        await self._state.belongs_to()
        return self._workers.still

    async def _look(self) -> None:
        while True:
            with anyio.CancelScope() as self._looking:
                await self._following.follow()
            await self._following.end()
            # Nothing is waited for from here to the next scope: a reload finds one that it can end.
            self._following = self._following.successor(self._means)

    async def _follow_links(self) -> None:
        """Have links that were not asked for before point at what is here already, as a start does."""
        while True:
            await self._relinked.wait()
            self._relinked = self._relink.next_ring
            # Where the disk is full, the next start or publication makes them.
            with suppress(NoSpace):
                survey = self._latest.survey()
                async for queued in self._state.published():
                    if await self._store.exists(queued.transfer.dest, queued.files):
                        await survey.met(queued.transfer)
                await survey.end()

    async def explain(self, project_id: int, job_id: int) -> Explanation:
        """One job, judged by every rule. Raises what Remote and State raise."""
        project = await known_as(self._remote, await self._remote.project(project_id), self._means.rules)
        return await explained(
            project, job_id, remote=self._remote, state=self._state, clock=self._clock, rules=self._means.rules
        )

    @property
    def janitor(self) -> Janitor:
        """Its retention."""
        return self._janitor

    @property
    def state(self) -> State:
        """What it works with."""
        return self._state

    @property
    def means(self) -> Means:
        """What its parts work with."""
        return self._means

    def wake(self) -> None:
        """Something was put into the state that its workers and its keeper wait for."""
        self._found()

    def hint(self, hint: Hint) -> Receipt:
        """Somebody says that something happened in GitLab: it is looked at soon. Never waits, and never fails."""
        return self._following.hint(hint)

    async def repair(self, source: AsyncIterator[QueuedTransfer], *, gauge: Gauge) -> Repaired:
        """Verify these publications, and mend what is damaged. Raises as ``repair.repair``."""
        # Of what is lost nothing else is fetched with it.
        workers = self._workers.on(self._queue.repairs())
        try:
            return await repair(
                source,
                store=self._store,
                state=self._state,
                clock=self._clock,
                workers=workers,
                emit=self._emit,
                gauge=gauge,
            )
        finally:
            with anyio.CancelScope(shield=True):
                await self._accounts.settle()

    async def _revive(self) -> None:
        while True:
            await self._queue.revive()
            self._workers.wake()
            await self._clock.sleep(self._means.policy.revive_every.total_seconds())

    def _heard(self, event: Event) -> None:
        self._accounts.counting(event)
        if isinstance(event, TransferEnded) and event.outcome is Outcome.PUBLISHED:
            self._hooks.wake()

    def _found(self) -> None:
        self._workers.wake()
        self._keeper.wake()

    async def _credential_refused(self) -> bool:
        """Whether the token opens nothing any more; one archive may be refused to a good one."""
        try:
            await self._remote.token()
        except CredentialRefused:
            return True
        except RemoteError:
            return False
        return False


def _looks_by(policy: EnginePolicy) -> tuple[object, ...]:
    """All that looks at GitLab go by. The rules, what is done after a publication left out, are in it by their digest."""
    return (
        policy.rules,
        policy.interval,
        policy.max_interval,
        policy.backfill,
        policy.audit,
        policy.settle,
        policy.polls,
        policy.hinted,
    )

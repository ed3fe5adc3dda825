"""Retention at work: what no rule keeps goes into the trash, and out of it when its time has come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from artifact_sync.core.events import ProjectFailed, PruneRefused, PublicationPruned, PublicationRestored, names_of
from artifact_sync.core.holding import held
from artifact_sync.core.retention import ORPHAN, RetentionPlan, Verdict
from artifact_sync.engine.emptying import Emptying
from artifact_sync.engine.holdings import beyond, most_removed, plan_of
from artifact_sync.engine.means import Means
from artifact_sync.engine.pruning import finish, prune, restore
from artifact_sync.errors import NoSpace, StoreError
from artifact_sync.ports import PruneOrder, PruneReport, QueuedTransfer, RetentionLook, Store, Trouble

__all__ = ["SUBJECT", "Janitor", "is_meant"]

#: Of its trouble in `status`.
SUBJECT = "retention"
#: Seconds between two looks at what a command may have ordered, at the least: orders come one after another, so that it is
#: looked again soon after the last one, or the start, and then, in parts of the time that has passed, less and less.
_SOONEST, _PARTS = 1.0, 8
_CURE = (
    "See what would go with `artifact-sync prune --dry-run`; if that is meant, `artifact-sync prune --yes`, or raise"
    " retention.max_delete."
)


@dataclass(slots=True)
class _Account:
    """What was done so far."""

    pruned: int = 0
    pruned_bytes: int = 0
    restored: int = 0
    restored_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def report(self) -> PruneReport:
        return PruneReport(
            pruned=self.pruned,
            pruned_bytes=self.pruned_bytes,
            restored=self.restored,
            restored_bytes=self.restored_bytes,
            problems=tuple(self.problems),
        )


class Janitor:
    """Prunes one store by the state's rules. One call at a time."""

    def __init__(self, means: Means, store: Store) -> None:
        self._state = means.state
        self._clock = means.clock
        self._rules = means.rules
        self._policy = means.policy
        self._emit = means.emit
        self._store = store
        self._emptying = Emptying(means, store)
        self._troubled = False
        #: When it looks by itself the next time, on the monotonic clock.
        self._due = float("inf")

    def renew(self, means: Means) -> None:
        """Other rules and limits from the next look on, which comes as soon as after a start."""
        self._rules, self._policy = means.rules, means.policy
        self._emptying.renew(means.policy)
        self._due = min(self._due, self._clock.monotonic() + self._policy.first_prune.total_seconds())

    async def run(self) -> None:
        """Look now and then, and do what commands order, until cancelled. Raises StateError."""
        began = self._clock.monotonic()
        self._due = began + self._policy.first_prune.total_seconds()
        self._emptying.search()
        while True:
            # Where the state's disk is full, all of this waits.
            with suppress(NoSpace):
                if await self.obey():
                    began = self._clock.monotonic()
                if self._clock.monotonic() >= self._due:
                    self._due = self._clock.monotonic() + self._policy.prune_every.total_seconds()
                    await self.look()
                elif self._emptying.holds:
                    await self.tidy()
            now = self._clock.monotonic()
            tick = min(max(_SOONEST, (now - began) / _PARTS), self._policy.orders_every.total_seconds())
            await self._clock.sleep(max(0.0, min(tick, self._due - now)))

    async def look(self) -> PruneReport:
        """Prune what no rule keeps, unless that is too much at once, and empty the trash of what was long in it.

        What goes wrong with the store is told as a trouble. Raises StateError, NoSpace.
        """
        account = _Account()
        try:
            await self._finish(account)
            await self._reclaim(account)
            plan = await self._plan(PruneOrder())
            await self._note(plan)
            if beyond(plan, self._policy.max_delete):
                await self._refuse(plan)
            else:
                await self._carry_out(plan, account)
                await self._told(account)
        except StoreError as error:
            account.problems.append(str(error))
            await self._trouble(str(error), error.hint)
        await self.tidy()
        return account.report()

    async def prune(self, order: PruneOrder) -> PruneReport:
        """What a person ordered. Raises StateError, NoSpace."""
        account = _Account()
        try:
            await self._finish(account)
            if order.undo:
                await self._restore(order, account)
            else:
                plan = await self._plan(order)
                await self._note(plan)
                if order.limited and beyond(plan, self._policy.max_delete):
                    account.problems.append(await self._refuse(plan))
                    return account.report()
                await self._carry_out(plan, account)
        except StoreError as error:
            account.problems.append(str(error))
        await self._told(account)
        await self.tidy()
        return account.report()

    async def obey(self) -> bool:
        """Do what commands ordered of the process that works on the store; whether anything. Raises StateError, NoSpace."""
        obeyed = False
        while (ordered := await self._state.next_order(self._clock.now())) is not None:
            number, order = ordered
            await self._state.answer_order(number, await self.prune(order))
            obeyed = True
        return obeyed

    async def tidy(self) -> None:
        """Empty the trash of what was long in it; early where the disk is too full. Raises StateError, NoSpace."""
        try:
            await self._emptying.tidy()
        except StoreError as error:
            await self._trouble(str(error), error.hint)

    async def _plan(self, order: PruneOrder) -> RetentionPlan:
        return await plan_of(
            self._state,
            self._rules,
            now=self._clock.now(),
            linked=self._store.linked,
            orphans=order.orphans,
            whole=False,
        )

    async def _finish(self, account: _Account) -> None:
        """What an earlier error left half done."""
        for queued in await self._state.half_pruned():
            try:
                await finish(queued, trash=self._store.trash, state=self._state)
            except NoSpace:
                raise
            except StoreError as error:
                account.problems.append(str(error))

    async def _carry_out(self, plan: RetentionPlan, account: _Account) -> None:
        for verdict in plan.removed:
            held = verdict.held
            known = await self._state.find(held.project_id, held.job_id)
            queued = next((one for one in known if one.id == held.id), None)
            if queued is None:
                continue
            why = "; ".join(verdict.reasons)
            try:
                gone = await prune(queued, why=why, at=self._clock.now(), trash=self._store.trash, state=self._state)
            except NoSpace:
                raise
            except StoreError as error:
                account.problems.append(str(error))
                continue
            if gone:
                account.pruned += 1
                account.pruned_bytes += held.size
                self._emit(_pruned(verdict, why))

    async def _reclaim(self, account: _Account) -> None:
        """What went because no rule selected it comes back when one does again: nothing else would bring it."""
        await self._give_back([queued async for queued in self._state.in_trash() if self._is_wanted(queued)], account)

    def _is_wanted(self, queued: QueuedTransfer) -> bool:
        if queued.pruned is None or ORPHAN not in queued.pruned.why or queued.published_at is None:
            return False
        again = held(
            queued.transfer,
            self._rules,
            number=queued.id,
            size=queued.size,
            published_at=queued.published_at,
            path=None,
            pinned=False,
        )
        return bool(again.rules)

    async def _restore(self, order: PruneOrder, account: _Account) -> None:
        found = [queued async for queued in self._state.in_trash() if is_meant(queued, order.only)]
        await self._give_back(found, account)

    async def _give_back(self, found: Sequence[QueuedTransfer], account: _Account) -> None:
        for queued in found:
            try:
                back = await restore(queued, trash=self._store.trash, state=self._state)
            except NoSpace:
                raise
            except StoreError as error:
                account.problems.append(str(error))
                continue
            if back:
                account.restored += 1
                account.restored_bytes += queued.size
                self._emit(_restored(queued))
            else:
                account.problems.append(f"{queued.transfer.dest} is not in the trash any more")

    async def _note(self, plan: RetentionPlan) -> None:
        removed, orphans = plan.removed, plan.orphans
        look = RetentionLook(
            at=self._clock.now(),
            publications=plan.count,
            orphans=len(orphans),
            orphan_bytes=sum(verdict.held.size for verdict in orphans),
            removable=len(removed),
            removable_bytes=sum(verdict.held.size for verdict in removed),
        )
        await self._state.note_look(look)

    async def _refuse(self, plan: RetentionPlan) -> str:
        removable, count = len(plan.removed), plan.count
        most = most_removed(count, self._policy.max_delete)
        self._emit(PruneRefused(removable=removable, publications=count, most=most, hint=_CURE))
        limit = f"{most} at once (retention.max_delete {self._policy.max_delete:.0%})"
        error = f"{removable} of {count} publications would be pruned, more than {limit}"
        await self._note_trouble(error, _CURE)
        return error

    async def _told(self, account: _Account) -> None:
        if account.problems:
            await self._trouble(account.problems[0], "The next look tries again; see what stands in the store there.")
        elif self._troubled:
            self._troubled = False
            await self._state.clear_trouble(SUBJECT)

    async def _trouble(self, error: str, hint: str) -> None:
        self._emit(ProjectFailed(project=SUBJECT, error=error, hint=hint))
        await self._note_trouble(error, hint)

    async def _note_trouble(self, error: str, hint: str) -> None:
        self._troubled = True
        await self._state.note_trouble(Trouble(subject=SUBJECT, error=error, hint=hint, since=self._clock.now()))


def is_meant(queued: QueuedTransfer, only: tuple[str, ...]) -> bool:
    """Whether it is one of those that are named: by destination, a folder above it, project (path or number), or job."""
    transfer = queued.transfer
    names = {transfer.dest, transfer.project_path, str(transfer.project_id), f"#{transfer.job.id}"}
    return not only or any(name in names or transfer.dest.startswith(f"{name.rstrip('/')}/") for name in only)


def _pruned(verdict: Verdict, why: str) -> PublicationPruned:
    held = verdict.held
    return PublicationPruned(
        project=held.project,
        job_id=held.job_id,
        job=held.job,
        ref=held.ref,
        dest=held.dest,
        size=held.size,
        why=why,
    )


def _restored(queued: QueuedTransfer) -> PublicationRestored:
    return PublicationRestored(**names_of(queued.transfer), size=queued.size)

"""Run what rules want after a publication: at least once, and for each receiver in the order of the publications.

The hooks are due since the step that published (``Queue.publish``). One that is under way when the program ends is run again
by the next start. A command, or the address of a webhook, is a lane: the next hook in it waits until the one before has
succeeded, or has failed for good. Lanes run side by side.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog
from anyio.abc import TaskGroup
from structlog.contextvars import bound_contextvars

from artifact_sync.core.after import HookKind
from artifact_sync.core.backoff import delay
from artifact_sync.core.events import Emit, HookEnded, HooksDropped, names_of
from artifact_sync.core.hooks import environment, hook_key, values_of
from artifact_sync.engine.bell import Bell, rung
from artifact_sync.engine.deletion import Deletion, NotNow, Untouched
from artifact_sync.engine.means import Means
from artifact_sync.errors import ArtifactSyncError, HookFailed, NoSpace, StateError
from artifact_sync.ports import Commands, DueHook, HookState, QueuedHook, Store, TransferState, Webhooks

__all__ = ["HookTally", "Hooks"]

log = structlog.get_logger()

#: Seconds after which the outbox is looked at without a reason: another process may have asked for something again.
_LOOK = 15.0
#: Hooks at the same time, and deletions among them: each reads a whole copy.
_SIDE_BY_SIDE, _DELETIONS = 8, 2
_BATCH = 32
#: Seconds without another hook of the lane when the state's disk is full.
_FULL = 30.0
#: Seconds for what runs when the program is to end.
_GRACE = 2.0

_UNWANTED = "no rule wants it any more"

_Lane = tuple[str, ...]


@dataclass(slots=True)
class HookTally:
    """What became of hooks so far."""

    done: int = 0
    failed: int = 0
    skipped: int = 0


class Hooks:
    """The consumer of the outbox. Without ``commands`` or ``webhooks`` those that need them wait."""

    def __init__(
        self, means: Means, *, store: Store, emit: Emit, commands: Commands | None, webhooks: Webhooks | None
    ) -> None:
        self._state = means.state
        self._clock = means.clock
        self._policy = means.policy
        self._emit = emit
        self._store = store
        self._webhooks = webhooks
        self._follow(means, commands)
        self._bell = Bell()
        self._busy: dict[_Lane, DueHook] = {}
        #: Ids of those that wait for something else than their own next attempt.
        self._waiting: set[int] = set()
        self._last_end = means.clock.monotonic()
        self.tally = HookTally()

    def _follow(self, means: Means, commands: Commands | None) -> None:
        self._policy = means.policy
        self._commands = commands
        self._deletion = Deletion(means, self._store)
        self._rules = {rule.name: rule for rule in means.rules}
        able = {HookKind.COMMAND: commands, HookKind.WEBHOOK: self._webhooks, HookKind.DELETE_REMOTE: self._store}
        #: What present rules want.
        self._wanted = frozenset((rule.name, kind) for rule in means.rules for kind in rule.after.kinds)
        self._runnable = frozenset((rule, kind) for rule, kind in self._wanted if able[kind] is not None)

    async def renew(self, means: Means, commands: Commands | None) -> None:
        """Other rules and limits for what begins from now on; what runs ends as it began. Raises StateError."""
        self._follow(means, commands)
        await self.drop()
        self.wake()

    def begin(self) -> None:
        """A pass begins: nothing done yet."""
        self.tally = HookTally()
        self._waiting.clear()

    async def drop(self) -> None:
        """What no rule wants any more is given up, and said. Raises StateError."""
        now = self._clock.now()
        for dropped in await self._state.drop_hooks(self._wanted, detail=_UNWANTED, at=now):
            self._emit(HooksDropped(rule=dropped.rule, kind=dropped.kind, count=dropped.count))

    def wake(self) -> None:
        """There may be something to run."""
        self._bell.ring()

    async def run(self) -> None:
        """Run hooks as they come due, until cancelled. Raises StateError."""
        async with anyio.create_task_group() as group:
            while True:
                ring = self._bell.next_ring
                if not self._runnable:
                    await ring.wait()
                    continue
                left = await self._start_due(group)
                await rung(ring, min(_LOOK, max(0.01, left)), self._clock)

    async def finished(self) -> int:
        """Wait until nothing is left to try in this pass; how many wait for something else, or for another pass.

        ``run`` must run meanwhile. Nothing is waited for without end: not longer than one hook may take with all of its
        attempts since the last one ended. Raises StateError.
        """
        most = (self._policy.hook_timeout + self._policy.hook_cap) * (self._policy.hook_retries + 1)
        self._last_end = self._clock.monotonic()
        while self._runnable:
            ring = self._bell.next_ring
            hooks = await self._state.next_hooks(self._runnable, limit=_BATCH)
            left = [hook for hook in hooks if hook.id not in self._waiting or hook.due_at <= self._clock.now()]
            if not left and not self._busy:
                break
            if self._clock.monotonic() - self._last_end > most and not self._busy:
                break
            await rung(ring, 1.0, self._clock)
        figures = await self._state.hook_figures()
        return figures.by_state.get(HookState.WAITING, 0)

    async def _start_due(self, group: TaskGroup) -> float:
        """Start what may run now; seconds until the next one is due."""
        now = self._clock.now()
        left = _LOOK
        first: dict[_Lane, DueHook] = {}
        for hook in await self._state.next_hooks(self._runnable, limit=_BATCH):
            lane = self._lane(hook)
            # One that runs may have got another lane since, by other rules.
            if lane not in self._busy and all(hook.id != busy.id for busy in self._busy.values()):
                # They come in the order of their publications, also where two rules have one receiver.
                first.setdefault(lane, hook)
        for lane, hook in first.items():
            wait = (hook.due_at - now).total_seconds()
            if wait > 0:
                left = min(left, wait)
            elif self._room(hook):
                self._busy[lane] = hook
                self._waiting.discard(hook.id)
                group.start_soon(self._alone, lane, hook)
        return left

    def _lane(self, hook: DueHook) -> _Lane:
        # None: the rule was taken away a moment ago.
        rule = self._rules.get(hook.rule)
        if rule is None:
            return (hook.kind, str(hook.id))
        after = rule.after
        if hook.kind is HookKind.COMMAND and after.command is not None:
            return (hook.kind, *after.command.arguments)
        if hook.kind is HookKind.WEBHOOK and after.webhook is not None:
            return (hook.kind, after.webhook)
        return (hook.kind, str(hook.id))

    def _room(self, hook: DueHook) -> bool:
        deletions = sum(busy.kind is HookKind.DELETE_REMOTE for busy in self._busy.values())
        if hook.kind is HookKind.DELETE_REMOTE:
            return deletions < _DELETIONS
        return len(self._busy) - deletions < _SIDE_BY_SIDE

    async def _alone(self, lane: _Lane, due: DueHook) -> None:
        async def work() -> None:
            hook = await self._state.hook(due.id)
            if hook is not None and hook.state is HookState.WAITING:
                with bound_contextvars(hook=hook.id, job=hook.queued.transfer.job.id):
                    await self._attempt(hook)

        try:
            await _patiently(work)
        except* NoSpace:
            # It is not known to have run, so it runs again, and not at once.
            log.warning("hook.unrecorded", hook=due.id, rule=due.rule, kind=due.kind.value)
            await self._clock.sleep(_FULL)
        finally:
            del self._busy[lane]
            self._last_end = self._clock.monotonic()
            self._bell.ring()

    async def _attempt(self, hook: QueuedHook) -> None:
        """Run it once, and write down what became of it. Raises StateError."""
        began = self._clock.monotonic()
        state, again_at = HookState.DONE, None
        detail = hint = ""
        try:
            detail = await self._carried_out(hook)
        except Untouched as reason:
            state, detail = HookState.SKIPPED, str(reason)
        except NotNow as reason:
            # Nothing failed, so nothing is told; the state has the reason.
            self._waiting.add(hook.id)
            due = self._clock.now() + reason.wait
            await self._state.hook_again(hook.id, detail=f"waits: {reason}", due_at=due, counted=False)
            return
        except StateError:
            raise
        except ArtifactSyncError as error:
            state, detail, hint = HookState.FAILED, str(error), error.hint
            again_at = self._again_at(hook, error)
        except Exception as error:  # noqa: BLE001 - a defect met by one hook must not keep all others from running
            crash = _crashed(hook, error)
            state, detail, hint = HookState.FAILED, str(crash), crash.hint
            again_at = self._again_at(hook, crash)
        seconds = self._clock.monotonic() - began
        with anyio.CancelScope(shield=True):
            if again_at is not None:
                await self._state.hook_again(hook.id, detail=detail, hint=hint, due_at=again_at, counted=True)
            else:
                await self._state.hook_ended(hook.id, state, detail=detail, hint=hint, at=self._clock.now())
        self._count(state, final=again_at is None)
        self._tell(hook, state, detail=detail, hint=hint, seconds=seconds, retry_at=again_at)

    def _count(self, state: HookState, *, final: bool) -> None:
        if not final:
            return
        self.tally.done += state is HookState.DONE
        self.tally.failed += state is HookState.FAILED
        self.tally.skipped += state is HookState.SKIPPED

    async def _carried_out(self, hook: QueuedHook) -> str:
        """Raises HookFailed, Untouched, NotNow, StateError, StoreError and its kin."""
        queued, rule = hook.queued, self._rules.get(hook.rule)
        if rule is None:
            raise Untouched(_UNWANTED)
        after = rule.after
        if queued.state in {TransferState.PRUNING, TransferState.PRUNED}:
            raise Untouched("the publication was taken away by retention")
        if hook.kind is HookKind.DELETE_REMOTE:
            return await self._deletion.run(hook)
        transfer = queued.transfer
        manifest = await self._store.manifest(transfer.dest)
        if manifest is None:
            hint = "Its files were removed or moved; `artifact-sync verify` says more."
            raise HookFailed(f"nothing is published at {transfer.dest} any more", hint=hint)
        key = hook_key(transfer, hook.rule, hook.kind, hook.manifest_sha256)
        if hook.kind is HookKind.WEBHOOK and after.webhook is not None and self._webhooks is not None:
            return await self._webhooks.post(after.webhook, manifest, key=key, at=self._clock.now())
        if hook.kind is HookKind.COMMAND and after.command is not None and self._commands is not None:
            place = self._store.place(transfer.dest)
            values = values_of(transfer, hook.rule, path=place.path, manifest=place.manifest)
            told = environment(values, key=key, attempt=hook.attempts + 1, job_url=transfer.job.web_url)
            return await self._commands.run(after.command.render(values), told)
        raise Untouched(_UNWANTED)

    def _again_at(self, hook: QueuedHook, error: ArtifactSyncError) -> datetime | None:
        failed = hook.attempts + 1
        if failed > self._policy.hook_retries or (isinstance(error, HookFailed) and not error.again):
            return None
        wait = delay(
            failed,
            base=self._policy.hook_base,
            cap=self._policy.hook_cap,
            jitter=random.random(),
            retry_after=error.retry_after if isinstance(error, HookFailed) else None,
        )
        return self._clock.now() + timedelta(seconds=wait)

    def _tell(
        self, hook: QueuedHook, state: HookState, *, detail: str, hint: str, seconds: float, retry_at: datetime | None
    ) -> None:
        self._emit(
            HookEnded(
                **names_of(hook.queued.transfer),
                rule=hook.rule,
                kind=hook.kind,
                result=state.value,
                attempt=hook.attempts + 1,
                seconds=seconds,
                detail=detail,
                hint=hint,
                retry_at=retry_at,
            )
        )


def _crashed(hook: QueuedHook, error: Exception) -> ArtifactSyncError:
    """The failure that a defect of this program is to its hook. Its text is in the log alone: it may quote anything."""
    trace = "".join(traceback.format_exception(error))
    log.error("hook.crashed", hook=hook.id, rule=hook.rule, kind=hook.kind.value, traceback=trace)
    return ArtifactSyncError(
        f"{type(error).__name__} inside artifact-sync",
        hint="This is an error in artifact-sync: please report it, with the line hook.crashed of the log.",
    )


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do the work; when cancelled, go on for a few seconds, and cancel it then."""
    scope = anyio.CancelScope(shield=True)

    async def wait_for_the_end() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            scope.deadline = min(scope.deadline, anyio.current_time() + _GRACE)

    async with anyio.create_task_group() as group:
        group.start_soon(wait_for_the_end)
        with scope:
            await work()
        group.cancel_scope.cancel()

"""What retention makes of everything that is published: the plan that a person is shown and the janitor follows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from anyio import to_thread

from artifact_sync.core.holding import held
from artifact_sync.core.retention import Held, RetentionPlan, plan_retention
from artifact_sync.core.rules import Rule
from artifact_sync.ports import State

__all__ = ["Linked", "beyond", "most_removed", "plan_of"]

#: So many publications take milliseconds.
_MANY = 1000
#: Destinations that links point at.
Linked = Callable[[], Awaitable[frozenset[str]]]


async def plan_of(
    state: State,
    rules: Sequence[Rule],
    *,
    now: datetime,
    linked: Linked,
    coming: Sequence[Held] = (),
    orphans: bool = False,
    whole: bool = True,
) -> RetentionPlan:
    """The plan at this moment. Reads the state and, where something would go, the links in the tree; changes nothing.

    ``coming`` counts as published, too: the plan is then that of the moment when all of it is.
    Holds about a kilobyte of each publication; unless it is to be the ``whole`` plan, only of those that some rule may let go,
    and of orphans. Raises StateError, StoreError.
    """
    retains = {rule.name: rule.retain for rule in rules}
    publications: list[Held] = []
    others = 0
    pins = {(pinned.project_id, pinned.job_id) for pinned in await state.pins()}
    publications += [replace(one, pinned=(one.project_id, one.job_id) in pins) for one in coming]
    async for one in _held(state, rules, pins):
        # One rule that keeps it for ever is enough; to a quota of another one it counts all the same.
        if whole or not one.rules or not all(retains[rule].endless for rule in one.rules):
            publications.append(one)
        else:
            others += 1

    def planned(latest: frozenset[str] = frozenset()) -> RetentionPlan:
        plan = plan_retention(publications, retains, now=now, orphans=orphans, latest=latest)
        return replace(plan, others=others)

    plan = await _aside(planned, len(publications))
    # Looking for links means looking into every directory: not for nothing.
    if plan.removed and (latest := await linked()):
        plan = await _aside(partial(planned, latest), len(publications))
    return plan


def most_removed(publications: int, share: float) -> int:
    """How many of these one prune may remove unasked: the share of them, and one in any case, unless the share is nothing."""
    return max(1, int(publications * share + 1e-9)) if share > 0 else 0


def beyond(plan: RetentionPlan, share: float) -> bool:
    """Whether the plan removes more than one prune may."""
    return len(plan.removed) > most_removed(plan.count, share)


async def _aside(planned: Callable[[], RetentionPlan], count: int) -> RetentionPlan:
    """Where there are many, nobody waits for the plan."""
    return planned() if count < _MANY else await to_thread.run_sync(planned)


async def _held(state: State, rules: Sequence[Rule], pins: Collection[tuple[int, int]]) -> AsyncIterator[Held]:
    paths: dict[int, str | None] = {}
    async for queued in state.published():
        transfer = queued.transfer
        project_id = transfer.project_id
        if project_id not in paths:
            progress = await state.progress(project_id)
            paths[project_id] = progress.path if progress is not None else None
        if queued.published_at is not None:
            yield held(
                transfer,
                rules,
                number=queued.id,
                size=queued.size,
                published_at=queued.published_at,
                path=paths[project_id],
                pinned=(project_id, transfer.job.id) in pins,
            )

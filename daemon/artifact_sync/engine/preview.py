"""What a pass would do, and why a job is taken or not: reads GitLab and the state, changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from artifact_sync.core.model import Candidate, Item, KeepDue, Project, Transfer
from artifact_sync.core.rules import Decision, Rule, explain
from artifact_sync.core.selection import owed
from artifact_sync.engine.judging import Judge, Walk, all_before, latest_ids
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.ports import Clock, KeepEntry, Priority, QueuedHook, QueuedTransfer, Remote, State, TransferState

__all__ = ["Explanation", "Planned", "Survey", "explained", "planned"]


@dataclass(slots=True, kw_only=True)
class Survey:
    """What a pass lists: pages of jobs. Those of history are apart, and none where history was walked before."""

    jobs: int = 0
    pages: int = 0
    history_pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A transfer of the next pass. ``known`` is where it stands already, if anywhere."""

    transfer: Transfer
    known: QueuedTransfer | None
    keeps: tuple[KeepDue, ...]

    @property
    def missing(self) -> tuple[Item, ...]:
        """What is not published yet. Of what retention took, nothing is brought again."""
        if self.known is not None and self.known.pruned is not None:
            return ()
        if self.known is None or self.known.state is TransferState.LOST or self.known.published_at is None:
            return self.transfer.items
        asked = self.known.transfer.items if self.known.state is TransferState.PUBLISHED else ()
        missing = owed(self.transfer.items, self.known.files, asked=asked)
        # A report that the server did not give is no reason for a pass to come back.
        left_out = {item.name for item in asked if item.kind == "report"}
        return tuple(item for item in missing if item.name not in left_out)

    @property
    def size(self) -> int | None:
        """Bytes that are missing, as far as GitLab announces them."""
        sizes = [item.size for item in self.missing if item.size is not None]
        return sum(sizes) if sizes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is known about one job."""

    candidate: Candidate
    decisions: tuple[Decision, ...]
    transfers: tuple[QueuedTransfer, ...]
    keeps: tuple[KeepEntry, ...]
    #: What rules want after its publications, oldest first.
    hooks: tuple[QueuedHook, ...] = ()


async def planned(
    project: Project,
    *,
    remote: Remote,
    state: State | None,
    clock: Clock,
    rules: Sequence[Rule],
    policy: EnginePolicy,
    survey: Survey | None = None,
) -> AsyncIterator[Planned]:
    """Every transfer that a pass over the project would find, newest first; ``survey`` counts what it takes to list them.

    A transfer's ``backfill`` says whether a pass finds it in history. Raises what Remote and State raise.
    """
    now = clock.now()
    survey = survey if survey is not None else Survey()
    progress = await state.progress(project.id) if state is not None else None
    walked = progress is not None and progress.backfill_done and progress.rules == policy.rules
    horizon = None if policy.backfill is None else now - policy.backfill
    judge = Judge(remote=remote, rules=rules, poll_interval=policy.interval, settle=policy.settle)
    walk = Walk(from_top=True)
    fresh = progress is None
    async for page in remote.project_jobs(project.id):
        if progress is not None:
            fresh = any(job.id > progress.newest_job_id for job in page.items)
        survey.jobs += len(page.items)
        survey.pages += fresh
        survey.history_pages += not fresh and not walked
        found = await judge.page(
            project, page.items, walk, now=now, horizon=horizon, backfill=not fresh, priority=Priority.POLL
        )
        # Of a project never seen the first page is fresh, and history what lies below; later it is what is not known.
        fresh = False
        for transfer in found.transfers:
            known = await _known(state, transfer)
            keeps = tuple(keep for keep in found.keeps if keep.job_id == transfer.job.id)
            yield Planned(transfer=transfer, known=known, keeps=keeps)
        if all_before(page.items, horizon):
            return


async def _known(state: State | None, transfer: Transfer) -> QueuedTransfer | None:
    if state is None:
        return None
    known = await state.find(transfer.project_id, transfer.job.id)
    here = next((queued for queued in known if queued.transfer.dest.startswith(transfer.dest)), None)
    # At whatever path it was: what retention took for these rules is not brought again.
    taken = (one for one in known if one.pruned is not None and set(transfer.rules) <= set(one.transfer.rules))
    return here or next(taken, None)


async def explained(
    project: Project, job_id: int, *, remote: Remote, state: State | None, clock: Clock, rules: Sequence[Rule]
) -> Explanation:
    """The live job judged by every rule, and what the state knows of it. Raises what Remote and State raise."""
    job = await remote.job(project.id, job_id)
    retried = False
    if job.pipeline is not None:
        retried = job.id not in await latest_ids(remote, project.id, job.pipeline.id, Priority.POLL)
    candidate = Candidate(project=project, job=job, retried=retried)
    keeps: list[KeepEntry] = []
    if state is not None:
        keeps = [entry async for entry in state.keeps() if (entry.project_id, entry.job_id) == (project.id, job_id)]
    return Explanation(
        candidate=candidate,
        decisions=explain(candidate, rules, clock.now()),
        transfers=await state.find(project.id, job_id) if state is not None else (),
        keeps=tuple(keeps),
        hooks=await state.hooks_of(project.id, job_id) if state is not None else (),
    )

"""Free GitLab's space once the copy here is proved (``after.delete_remote``).

What is deleted there is gone, so everything that could need it is asked first, and the copy is read from the disk last.
GitLab deletes everything of a job but its log (app/services/ci/job_artifacts/delete_service.rb), not the archive alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from artifact_sync.core.model import Candidate, Job, KeepResult, Project
from artifact_sync.core.planning import plan
from artifact_sync.core.rules import Decision, KeepPolicy, explain
from artifact_sync.engine.judging import latest_ids
from artifact_sync.engine.means import Means
from artifact_sync.engine.release import Copy, Standing, verified
from artifact_sync.errors import CredentialRefused, HookFailed, NotFound, NotMirrored, RemoteError
from artifact_sync.ports import KeepEntry, Priority, QueuedHook, QueuedTransfer, Store, TransferState

__all__ = ["Deletion", "NotNow", "Untouched"]

#: Until something else of the job was brought over, or given up.
_LATER = timedelta(minutes=15)
#: What a deletion leaves, and beside it what a copy of the archive covers.
_LEFT = frozenset({"trace"})
_COVERED = _LEFT | {"archive", "metadata"}
#: Nothing of these is wanted of GitLab any more.
_SETTLED = frozenset({TransferState.PUBLISHED, TransferState.PRUNING, TransferState.PRUNED})


class Untouched(Exception):
    """The artifacts stay in GitLab, for good; the text says why."""


class NotNow(Exception):
    """The artifacts stay in GitLab until later; the text says why."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.wait = _LATER


class Deletion:
    """Deletes one job's artifacts in GitLab."""

    def __init__(self, means: Means, store: Store) -> None:
        self._means = means
        self._remote = means.remote
        self._state = means.state
        self._store = store

    async def run(self, hook: QueuedHook) -> str:
        """What was done. Raises Untouched, NotNow, HookFailed, StateError."""
        transfer = hook.queued.transfer
        await self._require_settled(hook)
        job = await self._asked(hook)
        if {artifact.file_type for artifact in job.artifacts or ()} <= _LEFT:
            return await self._recorded(hook, job, "GitLab had no artifacts of it any more")
        if job.archive is None:
            raise Untouched("GitLab lists no archive of it")
        await self._require_unwanted(hook, job)
        found = await self._state.find(transfer.project_id, job.id)
        _require_covered(job, found)
        await self._require_copies(hook, job, found)
        # Reading takes its time; what was found meanwhile wants to be asked as well.
        await self._require_settled(hook)
        await self._delete(hook)
        return await self._recorded(hook, job, "its artifacts were deleted in GitLab")

    async def _require_settled(self, hook: QueuedHook) -> None:
        """Nothing of the job is still to come, and no rule keeps it there."""
        transfer = hook.queued.transfer
        found = await self._state.find(transfer.project_id, transfer.job.id)
        if not any(queued.id == hook.queued.id and queued.state is TransferState.PUBLISHED for queued in found):
            if any(queued.id == hook.queued.id and queued.state in _SETTLED for queued in found):
                raise Untouched("the copy was taken away by retention")
            raise NotNow("the copy is being fetched again")
        for queued in found:
            if queued.state not in _SETTLED:
                raise NotNow(f"{queued.transfer.dest} (rules {', '.join(queued.transfer.rules)}) is {queued.state}")
        always = {rule.name for rule in self._means.rules if rule.keep.policy is KeepPolicy.ALWAYS}
        named = {name for queued in found for name in queued.transfer.rules}
        named |= await self._state.always_kept_by(transfer.project_id, transfer.job.id)
        if keeping := sorted(always & named):
            raise Untouched(f"rule {keeping[0]} always keeps it in GitLab")

    async def _asked(self, hook: QueuedHook) -> Job:
        transfer = hook.queued.transfer
        try:
            return await self._remote.job(transfer.project_id, transfer.job.id)
        except NotFound as error:
            # Removed with its project, or hidden from this token: whichever, nothing is to be deleted that can be seen.
            raise Untouched("GitLab shows no such job any more") from error
        except RemoteError as error:
            raise _failed(error) from error

    async def _require_unwanted(self, hook: QueuedHook, job: Job) -> None:
        """No rule takes the job whose transfer is not known yet, as one that was just written."""
        transfer = hook.queued.transfer
        project = Project(id=transfer.project_id, path_with_namespace=transfer.project_path)
        known = await self._state.find(project.id, job.id)
        named = {name for queued in known for name in queued.transfer.rules}
        for decision in await self._decisions(project, job, named):
            if decision.rule.keep.policy is KeepPolicy.ALWAYS:
                raise Untouched(f"rule {decision.rule.name} always keeps it in GitLab")
            if decision.rule.name not in named and _wants(decision, project, job):
                raise NotNow(f"rule {decision.rule.name} takes the job as well, and has not fetched it yet")

    async def _decisions(self, project: Project, job: Job, named: Iterable[str]) -> list[Decision]:
        """Those that take the job, or may."""
        now = self._means.clock.now()
        candidate = Candidate(project=project, job=job)
        decisions = explain(candidate, self._means.rules, now)
        if any(decision.undecided and decision.rule.name not in named for decision in decisions) and job.pipeline:
            try:
                latest = await latest_ids(self._remote, project.id, job.pipeline.id, Priority.POLL)
            except RemoteError as error:
                raise _failed(error) from error
            candidate = Candidate(project=project, job=job, retried=job.id not in latest)
            decisions = explain(candidate, self._means.rules, now)
        return [decision for decision in decisions if decision.selected or decision.undecided]

    async def _require_copies(self, hook: QueuedHook, job: Job, found: Sequence[QueuedTransfer]) -> None:
        """Everything published of the job is whole on the disk, the archive with it."""
        transfer = hook.queued.transfer
        copies = [
            Copy(queued=queued, verified=await verified(queued, self._store.reread))
            for queued in found
            if queued.state is TransferState.PUBLISHED
        ]
        project = Project(id=transfer.project_id, path_with_namespace=transfer.project_path)
        try:
            Standing(project=project, job=job, keeps=(), copies=tuple(copies)).require_copy()
        except NotMirrored as error:
            hint = "Nothing was deleted in GitLab. `artifact-sync verify` says what is damaged."
            raise HookFailed(str(error), hint=hint, again=False) from error

    async def _delete(self, hook: QueuedHook) -> None:
        transfer = hook.queued.transfer
        try:
            await self._remote.delete_artifacts(transfer.project_id, transfer.job.id)
            job = await self._remote.job(transfer.project_id, transfer.job.id)
        except RemoteError as error:
            raise _failed(error) from error
        if job.archive is not None:
            raise HookFailed(
                "GitLab agreed to delete the artifacts, and lists the archive still",
                hint="It is asked again. If it stays so, look at GitLab's logs.",
            )

    async def _recorded(self, hook: QueuedHook, job: Job, detail: str) -> str:
        """The ledger has what became of the artifacts, and nobody is to keep them any more."""
        transfer = hook.queued.transfer
        entry = KeepEntry(
            at=self._means.clock.now(),
            project_id=transfer.project_id,
            project_path=transfer.project_path,
            job_id=transfer.job.id,
            job_name=transfer.job.name,
            rule=hook.rule,
            reason="mirrored and verified (after.delete_remote)",
            expire_at=job.artifacts_expire_at,
            result=KeepResult.DELETED,
            detail=detail,
        )
        await self._state.released(entry)
        return detail


def _require_covered(job: Job, found: Iterable[QueuedTransfer]) -> None:
    """Everything else that a deletion would take is mirrored as well."""
    ours = {
        item.path
        for queued in found
        for item in queued.transfer.items
        if item.kind == "report" and any(file.name == item.name and file.published for file in queued.files)
    }
    listed = {artifact.file_type for artifact in job.artifacts or ()} - _COVERED
    if lacking := sorted(listed - ours):
        raise Untouched(
            f"GitLab would delete what is not mirrored as well: {', '.join(lacking)} (fetch.reports names what to fetch)"
        )


def _wants(decision: Decision, project: Project, job: Job) -> bool:
    """Whether there is anything of the job that the rule would fetch, if it takes it."""
    sure = Decision(rule=decision.rule, verdicts=())
    return bool(plan(Candidate(project=project, job=job), [sure]))


def _failed(error: RemoteError) -> HookFailed:
    hint = error.hint
    if isinstance(error, CredentialRefused):
        hint = (
            f"{hint} Deleting needs a gitlab.keep_token with the scope api, of a user who may delete artifacts there."
        )
    return HookFailed(str(error), hint=hint.strip(), retry_after=getattr(error, "retry_after", None))

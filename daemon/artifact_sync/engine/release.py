"""Give up again what was kept in GitLab.

GitLab has no call that takes a keep back (https://docs.gitlab.com/api/job_artifacts/): a kept job never expires. All that
can be done is to keep it no longer from here, and to delete its artifacts there, which only a verified copy allows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from artifact_sync.core.model import Job, KeepResult, Project, StagedFile
from artifact_sync.core.selection import owed
from artifact_sync.errors import NotMirrored, RemoteError, UsageError
from artifact_sync.ports import Clock, Copies, KeepEntry, QueuedTransfer, Remote, State, TransferState

__all__ = ["Copy", "Standing", "release", "standing", "verified"]

#: After these GitLab may hold the artifacts for ever because of us.
_ASKED = frozenset({KeepResult.KEPT, KeepResult.UNCONFIRMED})
_REASON = "released by request"

#: Whether files stand at a destination, by hash.
Has = Callable[[str, Sequence[StagedFile]], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One transfer of the job, and whether all that it published stands in the store, read and hashed just now."""

    queued: QueuedTransfer
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands in GitLab and here of a job that was kept."""

    project: Project
    #: As GitLab has it now.
    job: Job
    #: Of the ledger, newest first.
    keeps: tuple[KeepEntry, ...]
    copies: tuple[Copy, ...]

    @property
    def verified(self) -> bool:
        """Whether everything that was to be mirrored of the job is here, to the last byte."""
        return bool(self.copies) and all(copy.verified for copy in self.copies)

    def require_copy(self) -> None:
        """Raise NotMirrored unless deleting the artifacts in GitLab loses nothing that the mirror was to hold."""
        name = f"{self.project.path_with_namespace} {self.job.name} #{self.job.id}"
        again = "Nothing was deleted. `artifact-sync explain` says how the job stands; mirror it, then release it."
        if not self.copies:
            raise NotMirrored(f"nothing of {name} is mirrored", hint=again)
        for copy in self.copies:
            queued = copy.queued
            if queued.state is not TransferState.PUBLISHED:
                raise NotMirrored(f"{name} is not mirrored: {queued.transfer.dest} is {queued.state}", hint=again)
            if not copy.verified:
                hint = "Nothing was deleted. The files were changed or removed, or the store's disk is not mounted."
                raise NotMirrored(f"{queued.transfer.dest} in the store is not what was mirrored of {name}", hint=hint)
        self._require_archive(name)

    def _require_archive(self, name: str) -> None:
        """GitLab deletes the whole archive, so that a few files out of it are no copy of what goes."""
        archive = self.job.archive
        if archive is None:
            return
        ours = {
            file.size
            for copy in self.copies
            for file in copy.queued.files
            if file.published and file.name in _archives(copy.queued)
        }
        if not ours:
            hint = (
                "Nothing was deleted: GitLab would delete the whole archive. Let a rule fetch and publish it "
                "(fetch.archive: true, publish.extract not only)."
            )
            raise NotMirrored(f"only single files of {name} are mirrored, not its archive", hint=hint)
        if archive.size is not None and archive.size not in ours:
            hint = "Nothing was deleted: GitLab's archive is not the one that was mirrored."
            raise NotMirrored(f"the archive of {name} has {archive.size} bytes in GitLab, and not here", hint=hint)


async def standing(project: Project, job_id: int, *, remote: Remote, state: State, copies: Copies) -> Standing:
    """The job read again, and every copy of it hashed. Raises what Remote, State and Copies raise.

    UsageError for a job that the ledger does not know as kept: what this program did not keep it does not give up.
    """
    keeps = [entry async for entry in state.keeps() if (entry.project_id, entry.job_id) == (project.id, job_id)]
    if not any(entry.result in _ASKED for entry in keeps):
        raise UsageError(
            f"the ledger has no keep of job {job_id} of {project.path_with_namespace}",
            hint=f"`artifact-sync keeps --project {project.path_with_namespace}` lists those that can be released.",
        )
    job = await remote.job(project.id, job_id)
    found = [
        Copy(queued=queued, verified=await verified(queued, copies.has))
        for queued in await state.find(project.id, job_id)
    ]
    return Standing(project=project, job=job, keeps=tuple(keeps), copies=tuple(found))


async def release(found: Standing, *, remote: Remote, state: State, clock: Clock, delete: bool) -> KeepEntry:
    """Settle every keep of the job and write the ledger; with ``delete``, delete its artifacts in GitLab first.

    Raises NotMirrored without a verified copy, before anything is done; what Remote raises when the deletion failed,
    which the ledger then has.
    """
    detail = "GitLab goes on keeping it"
    if delete and not found.job.artifacts:
        detail = "GitLab had no artifacts of it any more"
    elif delete:
        found.require_copy()
        try:
            await remote.delete_artifacts(found.project.id, found.job.id)
            job = await remote.job(found.project.id, found.job.id)
        except RemoteError as error:
            # Also where GitLab may have done it: nobody is to guess later why the artifacts are gone.
            entry = _entry(found, clock, KeepResult.FAILED, f"its artifacts were to be deleted in GitLab: {error}")
            await state.released(entry)
            raise
        detail = "its artifacts were deleted in GitLab" if job.archive is None else "GitLab still lists its archive"
    entry = _entry(found, clock, KeepResult.RELEASED, detail)
    await state.released(entry)
    return entry


async def verified(queued: QueuedTransfer, has: Has) -> bool:
    """Whether everything that the transfer was to bring is published, and stands there as it was. Raises what ``has`` raises."""
    if queued.state is not TransferState.PUBLISHED or not queued.files:
        return False
    items = queued.transfer.items
    return not owed(items, queued.files, asked=items) and await has(queued.transfer.dest, queued.files)


def _archives(queued: QueuedTransfer) -> set[str]:
    return {item.name for item in queued.transfer.items if item.kind == "archive"}


def _entry(found: Standing, clock: Clock, result: KeepResult, detail: str) -> KeepEntry:
    kept = next(entry for entry in found.keeps if entry.result in _ASKED)
    return KeepEntry(
        at=clock.now(),
        project_id=found.project.id,
        project_path=found.project.path_with_namespace,
        job_id=found.job.id,
        job_name=found.job.name,
        rule=kept.rule,
        reason=_REASON,
        expire_at=found.job.artifacts_expire_at,
        result=result,
        detail=detail,
    )

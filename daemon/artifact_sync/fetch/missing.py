"""What a 404 for an item means, told by the job itself.

GitLab answers 404 for what expired, what was erased, what this token may not see, and for a file that its storage has lost
for a moment. Only a job that no longer lists the archive shows that it is gone for good.
"""

from __future__ import annotations

from datetime import datetime

from artifact_sync.core.model import Item, Job, Transfer
from artifact_sync.errors import NotFound, Transient
from artifact_sync.ports import Priority, Remote

__all__ = ["explain_missing"]


async def explain_missing(
    remote: Remote, transfer: Transfer, item: Item, error: NotFound, *, now: datetime
) -> NotFound | Transient:
    """The error to raise for an item that was answered with 404: NotFound only for what is proved to be gone.

    Raises what reading the job raises, NotFound aside: while that fails nothing is known.
    """
    try:
        job = await remote.job(transfer.project_id, transfer.job.id, priority=Priority.DOWNLOAD)
    except NotFound:
        hint = "The job or its project was removed, or this token may not see it at present; it is tried again later."
        return Transient(error.asked, f"{error.answer}; the job itself is not found either", status=404, hint=hint)
    if item.kind == "trace":
        return error
    why = _why_gone(job, now)
    if why:
        hint = (
            "What was not mirrored by then is lost; a longer keep.lead, or keep.policy always, prevents it next time."
        )
        return NotFound(error.asked, f"{error.answer}; {why}", status=404, hint=hint)
    if item.kind == "file":
        rules = ", ".join(transfer.rules)
        hint = f"Correct fetch.files of the rule {rules}: the exact path inside the archive, as GitLab's job page shows it."
        return NotFound(error.asked, f"the job's archive has no file {item.path}", status=404, hint=hint)
    return Transient(
        error.asked,
        f"{error.answer}, though the job still lists its archive",
        status=404,
        hint="GitLab's storage may be moving the file; it is tried again later.",
    )


def _why_gone(job: Job, now: datetime) -> str:
    if job.erased_at is not None:
        return f"the job was erased at {job.erased_at.isoformat()}"
    if job.artifacts_expire_at is not None and job.artifacts_expire_at <= now:
        return f"its artifacts expired at {job.artifacts_expire_at.isoformat()}"
    if job.archive is None:
        return "the job lists no archive any more"
    return ""

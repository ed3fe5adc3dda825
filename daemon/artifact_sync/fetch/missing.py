"""What a 404 for an item means, told by the job itself.

GitLab answers 404 for what expired, what was erased, what this token may not see, and for a file that its storage has lost
for a moment. Only a job that no longer lists the archive shows that it is gone for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from artifact_sync.core.model import Item, Job, Transfer
from artifact_sync.errors import NotFound, Transient
from artifact_sync.ports import Priority, Remote

__all__ = ["explain_gone", "explain_missing", "no_such_file"]

#: Paths that an error names.
_SHOWN = 10


async def explain_missing(
    remote: Remote, transfer: Transfer, item: Item, error: NotFound, *, now: datetime
) -> NotFound | Transient:
    """The error to raise for an archive, a report or a log that was answered with 404: NotFound only for what is proved to be gone.

    Raises what reading the job raises, NotFound aside: while that fails nothing is known.
    """
    report = item.path if item.kind == "report" else None
    gone = await explain_gone(remote, transfer, error, now=now, kept=item.kind == "trace", report=report)
    if gone is not None:
        return gone
    if item.kind == "trace":
        return error
    return Transient(
        error.asked,
        f"{error.answer}, though the job still lists its {report or 'archive'}",
        status=404,
        hint="GitLab's storage may be moving the file; it is tried again later.",
    )


async def explain_gone(
    remote: Remote, transfer: Transfer, error: NotFound, *, now: datetime, kept: bool = False, report: str | None = None
) -> NotFound | Transient | None:
    """The error to raise where the job, or its archive, is what is not there; None where it still lists the archive.

    ``kept``: what was asked for outlives the archive; ``report``: the type of the report that it was. Raises as ``explain_missing``.
    """
    try:
        job = await remote.job(transfer.project_id, transfer.job.id, priority=Priority.DOWNLOAD)
    except NotFound:
        hint = "The job or its project was removed, or this token may not see it at present; it is tried again later."
        return Transient(error.asked, f"{error.answer}; the job itself is not found either", status=404, hint=hint)
    why = "" if kept else _why_gone(job, now, report or "archive")
    if not why:
        return None
    hint = "What was not mirrored by then is lost; a longer keep.lead, or keep.policy always, prevents it next time."
    return NotFound(error.asked, f"{error.answer}; {why}", status=404, hint=hint)


def no_such_file(transfer: Transfer, paths: Sequence[str], *, asked: str | None = None) -> NotFound:
    """The error for exact paths that the archive does not have."""
    rules = ", ".join(transfer.rules)
    hint = (
        f"Correct fetch.files of the rule {rules}: the exact path inside the archive, as GitLab's job page shows it, with "
        "a ? at its end where it may be missing."
    )
    asked = asked or f"{transfer.project_path} job {transfer.job.id}"
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return NotFound(asked, f"the job's archive has no file {', '.join(paths[:_SHOWN])}{more}", status=404, hint=hint)


def _why_gone(job: Job, now: datetime, what: str) -> str:
    if job.erased_at is not None:
        return f"the job was erased at {job.erased_at.isoformat()}"
    if job.artifacts_expire_at is not None and job.artifacts_expire_at <= now:
        return f"its artifacts expired at {job.artifacts_expire_at.isoformat()}"
    if not any(artifact.file_type == what for artifact in job.artifacts or ()):
        return f"the job lists no {what} any more"
    return ""

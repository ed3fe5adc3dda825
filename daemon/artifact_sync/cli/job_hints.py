"""Why GitLab refuses to do something to a job, from what is known of the job.

Nothing here depends on the words of an answer: they differ between versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from artifact_sync.core.job_detail import JobDetail
from artifact_sync.core.model import Job
from artifact_sync.errors import Denied, NotFound, Refused, RemoteError

__all__ = ["hinted"]

#: app/models/ci/build.rb, ``retryable?``.
_RETRYABLE = frozenset({"success", "failed", "canceled"})
_MAINTAINER = "It needs the Maintainer role in the project"
_PROTECTED = (
    "The token's user needs the Developer role, and where the ref is protected the right to push or merge there; an instance"
    " in maintenance mode refuses every write."
)


@contextmanager
def hinted(verb: str, job: Job | None) -> Iterator[None]:
    """Errors within the block get a hint that fits what was tried. ``job``: as it was before; None: a trigger job, or unknown."""
    try:
        yield
    except (Denied, NotFound, Refused) as error:
        error.hint = _hint(verb, job, error) or error.hint
        raise


def _hint(verb: str, job: Job | None, error: RemoteError) -> str:
    if error.status == HTTPStatus.CONFLICT:
        return "GitLab counts the sizes of the project's artifacts just now, and deletes nothing meanwhile: try again later."
    if isinstance(error, Denied):
        return _denied(verb, job)
    if verb == "keep" and isinstance(error, NotFound):
        return _not_kept(job)
    if verb == "play" and error.status == HTTPStatus.BAD_REQUEST:
        status = f"It is {job.status}: only" if job else "Only"
        return f"{status} manual and delayed jobs are played. `artifact-sync job retry` runs one again that has ended."
    return ""


def _denied(verb: str, job: Job | None) -> str:
    if isinstance(job, JobDetail) and job.archived:
        return "The job is archived: it is older than this GitLab lets jobs be changed."
    if job is not None and verb == "retry" and job.status not in _RETRYABLE:
        return f"It is {job.status}: only jobs that succeeded, failed or were canceled are retried."
    if job is not None and verb == "erase" and not job.finished:
        return f"It is {job.status}: only jobs that have ended are erased. `artifact-sync job cancel` ends one."
    at_ref = f" The ref is {job.ref}." if job is not None and job.ref else ""
    needed = {
        "retry": f"It was retried before, or this user may not. {_PROTECTED}",
        "erase": f"{_MAINTAINER}, or that the job is the user's own and its ref is not protected.",
        "delete-artifacts": f"{_MAINTAINER}; an instance in maintenance mode refuses every write.",
        "cancel --force": f"{_MAINTAINER}; without --force the Developer role will do.",
    }
    return needed.get(verb, f"{_PROTECTED}{at_ref}")


def _not_kept(job: Job | None) -> str:
    if job is None or job.archive is None:
        return "It has no archive (any more): there is nothing to keep."
    if job.artifacts_expire_at is not None:
        return (
            f"Its artifacts were to expire at {job.artifacts_expire_at:%Y-%m-%d %H:%M} UTC: GitLab keeps nothing that is past"
            " that, though it may still hand it out: `artifact-sync job download`."
        )
    return ""

"""Whether a log is complete.

GitLab answers 200 with what there is: with nothing where there is no log, and also while it cannot read the one it has;
with the first part of a log that is still being put together (app/workers/ci/archive_trace_worker.rb, minutes after the
job's end). Once it is archived the job lists it with its size, and nothing is appended any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import anyio
from anyio import to_thread

from artifact_sync.core.model import Item, Job
from artifact_sync.errors import Transient
from artifact_sync.fetch.verify import reading
from artifact_sync.ports import Part

__all__ = ["require_complete"]

_READ = 256 * 1024
#: A log is archived, and listed, so long after the job's end.
_ARCHIVED_WITHIN = timedelta(minutes=10)
_HINT = "GitLab may be moving the log to its storage; it is tried again later."


async def require_complete(
    item: Item,
    job: Job,
    part: Part,
    *,
    now: datetime,
    asked: str,
    again: Callable[[], Awaitable[None]],
    limiter: anyio.CapacityLimiter,
) -> None:
    """Raise Transient unless the log in ``part`` is complete.

    Of a listed one the size must agree. Of any other two answers must: ``again`` fetches it once more into the same part. A
    log that is empty and not listed ten minutes after the job's end is none. Raises also what ``again`` raises, and StoreDamaged.
    """
    listed = item.size
    if listed is None:
        listed = next((a.size for a in job.artifacts or () if a.file_type == "trace"), None)
    if listed is not None:
        if part.size != listed:
            came = f"a log of {part.size} bytes" if part.size else "an empty log"
            raise Transient(asked, f"{came}, though the job lists one of {listed} bytes", hint=_HINT)
    elif not part.size:
        if job.ended_at is not None and now - job.ended_at < _ARCHIVED_WITHIN:
            raise Transient(asked, "an empty log, a moment after the job's end", hint=_HINT)
    else:
        before = await _digest(part, limiter)
        await again()
        if await _digest(part, limiter) != before:
            raise Transient(asked, "a log that is still written, as two answers differ", hint=_HINT)


async def _digest(part: Part, limiter: anyio.CapacityLimiter) -> str:
    return await to_thread.run_sync(_hashed, part, abandon_on_cancel=True, limiter=limiter)


def _hashed(part: Part) -> str:
    digest = hashlib.sha256()
    with reading(part), part.reader() as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()

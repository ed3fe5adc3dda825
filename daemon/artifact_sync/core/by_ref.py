"""Which job answers for a ref and a name: GitLab's rule, over what is mirrored.

GitLab takes the newest pipeline by id of the ref whose status is exactly ``success``, and in it the job of that name that no
retry superseded (``latest_successful_build_for_ref!``, app/models/project.rb and app/models/ci/pipeline.rb). A mirror knows
pipelines only through jobs of them that it has, with the status that each had when the job was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from artifact_sync.core.model import Job

__all__ = ["latest_successful"]

#: app/models/concerns/ci/has_status.rb: a pipeline that ended like this has not succeeded.
_UNSUCCESSFUL = frozenset({"failed", "canceled", "skipped"})
_SUCCESS = "success"
#: Its own id is higher than its parent's, and GitLab looks into it as a part of that.
_CHILD = "parent_pipeline"


def latest_successful(jobs: Iterable[Job], name: str, *, search: bool = False) -> Job | None:
    """The job; None where GitLab's answer would be 404, as far as it can be known.

    ``jobs`` ran for the ref, newest id first. A pipeline is taken for successful where its jobs were found after its end,
    and where it still ran then, but the job that is asked for had succeeded. Without ``search`` the first successful pipeline
    decides, also where it does not have the job (``search_recent_successful_pipelines``).
    """
    for pipeline in _pipelines(jobs):
        statuses = {job.pipeline.status for job in pipeline if job.pipeline is not None}
        # Names are told apart by the newest: a retry is a new job with a higher id.
        found = max((job for job in pipeline if job.name == name), key=lambda job: job.id, default=None)
        if _SUCCESS in statuses:
            if found is not None:
                return found
            if not search and not _is_child(pipeline):
                return None
        elif not statuses & _UNSUCCESSFUL and found is not None and found.status == _SUCCESS:
            return found
    return None


def _pipelines(jobs: Iterable[Job]) -> Iterator[tuple[Job, ...]]:
    """Jobs by pipeline, the newest pipeline first.

    Ids of jobs grow with those of their pipelines but for retries, which are a pipeline's newest jobs whatever came since.
    """
    known = [job for job in jobs if job.pipeline is not None]
    known.sort(key=lambda job: job.pipeline.id if job.pipeline else 0, reverse=True)
    for _, group in groupby(known, key=lambda job: job.pipeline.id if job.pipeline else 0):
        yield tuple(group)


def _is_child(pipeline: tuple[Job, ...]) -> bool:
    return pipeline[0].pipeline is not None and pipeline[0].pipeline.source == _CHILD

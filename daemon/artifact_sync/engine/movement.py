"""Which pipelines moved since the last poll, by one request where nothing did.

A pipeline's ``updated_at`` changes with its status, so whatever was still to come in one that stood still (a manual job
played days later, a delayed one, a retry) shows here. Child pipelines are listed only when asked for by their source
(app/finders/ci/pipelines_finder.rb), so they have a listing and a watermark of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from artifact_sync.core.model import Pipeline
from artifact_sync.ports import Remote

__all__ = ["CHILDREN", "Moved", "has_moved", "moved_since"]

CHILDREN = "parent_pipeline"
#: What is asked for again. Whether ``updated_after`` includes its moment is not documented, and a transaction that began
#: earlier may be seen later.
_OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Pipelines that moved and were not looked at since, and where to ask from next time."""

    pipelines: tuple[Pipeline, ...]
    to: datetime | None
    #: What ``Progress.looked_at`` has to hold once they were looked at.
    looked_at: tuple[tuple[int, datetime], ...]


async def moved_since(
    remote: Remote,
    project_id: int,
    after: datetime | None,
    looked_at: Sequence[tuple[int, datetime]] = (),
    *,
    source: str | None = None,
) -> Moved:
    """Those that moved after ``after``, or shortly before it, and are not among ``looked_at`` as they are now.

    Raises what Remote.pipelines raises.
    """
    found: dict[int, Pipeline] = {}
    asked = None if after is None else after - _OVERLAP
    async for page in remote.pipelines(project_id, updated_after=asked, source=source):
        found |= {pipeline.id: pipeline for pipeline in page.items}
    known = dict(looked_at)
    times = {pipeline.id: pipeline.updated_at for pipeline in found.values() if pipeline.updated_at is not None}
    to = max((*times.values(), *([after] if after else [])), default=None)
    return Moved(
        pipelines=tuple(p for p in found.values() if p.updated_at is None or known.get(p.id) != p.updated_at),
        to=to,
        looked_at=tuple((number, at) for number, at in times.items() if to is not None and at >= to - _OVERLAP),
    )


def has_moved(pipeline: Pipeline, after: datetime | None, looked_at: Sequence[tuple[int, datetime]]) -> bool:
    """Whether ``moved_since`` would bring the pipeline."""
    if pipeline.updated_at is None or after is None:
        return False
    return pipeline.updated_at >= after - _OVERLAP and (pipeline.id, pipeline.updated_at) not in looked_at

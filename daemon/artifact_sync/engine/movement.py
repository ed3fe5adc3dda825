"""Which pipelines moved since the last poll, by one request where nothing did.

A pipeline's ``updated_at`` changes with its status, so whatever was still to come in one that stood still (a manual job
played days later, a delayed one, a retry) shows here. Child pipelines are listed only when asked for by their source
(app/finders/ci/pipelines_finder.rb), so they have a listing and a watermark of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from artifact_sync.core.model import Pipeline
from artifact_sync.ports import Clock, Remote

__all__ = ["CHILDREN", "Movement", "has_moved"]

CHILDREN = "parent_pipeline"
#: What is asked for again. Whether ``updated_after`` includes its moment is not documented, and a transaction that began
#: earlier may be seen later.
_OVERLAP = timedelta(minutes=10)
#: Pipelines that are remembered for the next listing; what moved beside so many is looked at once more then.
_REMEMBERED = 100_000


class Movement:
    """One listing of what moved, and from where on to ask the next time. Used once."""

    def __init__(
        self,
        remote: Remote,
        clock: Clock,
        project_id: int,
        *,
        after: datetime | None,
        looked_at: Sequence[tuple[int, datetime]] = (),
        source: str | None = None,
    ) -> None:
        self._remote = remote
        self._clock = clock
        self._project_id = project_id
        self._after = after
        self._known = dict(looked_at)
        self._source = source
        #: Whether any pipeline was listed, moved or not.
        self.any = False
        self._newest = after
        self._lately: dict[int, datetime] = {}

    async def pages(self) -> AsyncIterator[tuple[Pipeline, ...]]:
        """Those that moved after ``after``, or shortly before it, and are not among ``looked_at`` as they are now.

        Newest first, page by page, none of them empty. Raises what Remote.pipelines raises.
        """
        # What is made while later pages are read is on none of them: never ask from a later moment than this one.
        began = self._clock.now()
        asked = None if self._after is None else self._after - _OVERLAP
        async for page in self._remote.pipelines(self._project_id, updated_after=asked, source=self._source):
            self._mark(page.items, began)
            if moved := tuple(p for p in page.items if p.updated_at is None or self._known.get(p.id) != p.updated_at):
                yield moved

    @property
    def to(self) -> datetime | None:
        """From where on to ask the next time. None: nothing is there, nor was."""
        return self._newest

    @property
    def looked_at(self) -> tuple[tuple[int, datetime], ...]:
        """What a listing from there on shows again: (pipeline id, its ``updated_at``)."""
        return tuple(self._lately.items())

    def _mark(self, pipelines: Sequence[Pipeline], began: datetime) -> None:
        for pipeline in pipelines:
            self.any = True
            if pipeline.updated_at is not None:
                if pipeline.id in self._lately or len(self._lately) < _REMEMBERED:
                    self._lately[pipeline.id] = pipeline.updated_at
                moved = min(pipeline.updated_at, began)
                self._newest = moved if self._newest is None else max(self._newest, moved)
        if self._newest is not None:
            since = self._newest - _OVERLAP
            self._lately = {number: at for number, at in self._lately.items() if at >= since}


def has_moved(pipeline: Pipeline, after: datetime | None, looked_at: Sequence[tuple[int, datetime]]) -> bool:
    """Whether such a listing would bring the pipeline."""
    if pipeline.updated_at is None or after is None:
        return False
    return pipeline.updated_at >= after - _OVERLAP and (pipeline.id, pipeline.updated_at) not in looked_at

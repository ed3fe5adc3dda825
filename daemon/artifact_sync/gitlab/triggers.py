"""Jobs that start other pipelines, by their newer or their older name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import TypeVar

from artifact_sync.errors import NotFound
from artifact_sync.gitlab.cursors import scoped
from artifact_sync.gitlab.decoding import PageDecoder
from artifact_sync.gitlab.lists import Lists
from artifact_sync.ports import Page, Priority

__all__ = ["TriggerJobs"]

T = TypeVar("T")

#: A pipeline has not so many pages of trigger jobs.
_MOST_PAGES = 1_000


class TriggerJobs:
    """``trigger_jobs`` since 19.2; ``bridges`` before that (lib/api/ci/pipelines.rb)."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        #: Whether this GitLab knows them by their older name.
        self._older = False

    async def pages(
        self,
        project_id: int,
        pipeline_id: int,
        decoder: PageDecoder[T],
        *,
        statuses: Collection[str] = (),
        priority: Priority = Priority.POLL,
    ) -> AsyncIterator[Page[T]]:
        """Those of one pipeline. Raises as ports.Remote says."""
        pipeline = f"projects/{project_id}/pipelines/{pipeline_id}"
        name = "bridges" if self._older else "trigger_jobs"
        first = scoped(f"{pipeline}/{name}", {}, statuses)
        try:
            async for page in self._lists.pages(first, decoder, priority=priority, most=_MOST_PAGES):
                yield page
        except NotFound:
            if self._older:
                raise
        else:
            return
        # Also what a pipeline out of sight is answered with: only an answer under the older name proves an older GitLab.
        older = scoped(f"{pipeline}/bridges", {}, statuses)
        async for page in self._lists.pages(older, decoder, priority=priority, most=_MOST_PAGES):
            self._older = True
            yield page

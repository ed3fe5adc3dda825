"""Where downloads were redirected to, for further pieces of the same archive.

A signed address opens one object for some minutes, to whoever has it. It is kept in memory alone, no longer than it works,
and only for archives.
"""

from __future__ import annotations

from artifact_sync.gitlab.redirects import Hop
from artifact_sync.ports import Source

__all__ = ["Targets"]

#: Downloads at the same time, at most (downloads.concurrency).
_MOST = 256


class Targets:
    """The last place of each archive that is not GitLab itself, already judged by the redirect policy."""

    def __init__(self) -> None:
        self._hops: dict[tuple[int, int], Hop] = {}

    def of(self, source: Source) -> Hop | None:
        """The place that answered last, if it is another than GitLab."""
        return self._hops.get((source.project_id, source.job_id)) if _lasting(source) else None

    def learn(self, source: Source, hop: Hop) -> None:
        """This place has answered."""
        if not _lasting(source):
            return
        key = (source.project_id, source.job_id)
        self._hops.pop(key, None)
        if not hop.trusted:
            self._hops[key] = hop
            if len(self._hops) > _MOST:
                del self._hops[next(iter(self._hops))]

    def forget(self, source: Source, hop: Hop) -> None:
        """This place does not answer any more; another one that was learned meanwhile stays."""
        key = (source.project_id, source.job_id)
        if self._hops.get(key) is hop:
            del self._hops[key]


def _lasting(source: Source) -> bool:
    """Whether it is the same archive the next time: a ref's newest job is another one soon."""
    return source.item.kind == "archive" and source.latest is None

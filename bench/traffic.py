"""Every request that reached a simulated GitLab, counted by minute and by what it asks for."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from artifact_sync.simulator.seen import Requests

if TYPE_CHECKING:
    from artifact_sync.simulator import RequestSeen

__all__ = ["OBJECT_STORE", "Asked", "Traffic"]

#: The kind of what goes to the object store, which GitLab does not count.
OBJECT_STORE = "object store"

#: Requests that are held before they are counted: an answer is not decided when its request arrives.
_HELD = 1000
_TOO_MANY = 429
_KINDS = (
    (re.compile(r"/(?:groups/[^/]+/)?projects"), "which projects there are"),
    (re.compile(r"/projects/[^/]+"), "one project"),
    (re.compile(r"/projects/\d+/pipelines"), "pipelines that moved"),
    (re.compile(r"/projects/\d+/jobs"), "the project's jobs"),
    (re.compile(r"/projects/\d+/pipelines/\d+/jobs"), "one pipeline's jobs"),
    (re.compile(r"/projects/\d+/jobs/\d+"), "one job"),
    (re.compile(r"/projects/\d+/jobs/\d+/artifacts"), "download"),
    (re.compile(r"/projects/\d+/jobs/\d+/artifacts/keep"), "keep"),
)
_API = "/api/v4"


class Asked(NamedTuple):
    """One kind of request in one minute after the beginning, and how it was answered."""

    minute: int
    kind: str
    status: int


class Traffic(Requests):
    """Takes the place of a world's ``requests``, and forgets each as soon as it is counted."""

    def __init__(self, since: datetime) -> None:
        super().__init__()
        self._since = since
        self._counts: Counter[Asked] = Counter()

    def add(self, request: RequestSeen) -> None:
        """As its base does."""
        super().add(request)
        if len(self) >= _HELD:
            self._count()

    @property
    def counts(self) -> Counter[Asked]:
        """How many there were of each, those that are under way left out."""
        self._count()
        return self._counts

    def kinds(self, *, since: int = 0, before: int | None = None) -> Counter[str]:
        """Requests by what they asked for, of the minutes from ``since`` to before ``before``."""
        found: Counter[str] = Counter()
        for asked, count in self.counts.items():
            if since <= asked.minute and (before is None or asked.minute < before):
                found[asked.kind] += count
        return found

    def minutes(self) -> Counter[int]:
        """Requests to GitLab by minute, those to its object store left out."""
        found: Counter[int] = Counter()
        for asked, count in self.counts.items():
            if asked.kind != OBJECT_STORE:
                found[asked.minute] += count
        return found

    def throttled(self) -> Counter[int]:
        """Answers 429 by minute."""
        found: Counter[int] = Counter()
        for asked, count in self.counts.items():
            if asked.status == _TOO_MANY:
                found[asked.minute] += count
        return found

    def _count(self) -> None:
        pending = []
        for seen in self:
            if seen.status is None:
                pending.append(seen)
            else:
                minute = (seen.at - self._since) // timedelta(minutes=1)
                self._counts[Asked(minute, _kind(seen), seen.status)] += 1
        self[:] = pending


def _kind(seen: RequestSeen) -> str:
    if seen.origin == "storage":
        return OBJECT_STORE
    if seen.query.get("source") == "parent_pipeline":
        return "child pipelines that moved"
    path = seen.path.removeprefix(_API)
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(path)), path)

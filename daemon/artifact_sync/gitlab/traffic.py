"""Counts what is asked of GitLab and what it answers, and writes each exchange to the log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from artifact_sync.errors import RemoteError
from artifact_sync.gitlab.quota import Quota
from artifact_sync.gitlab.tracing import answered, requesting
from artifact_sync.ports import Priority

__all__ = ["Exchange", "Minute", "Tally"]

log = structlog.get_logger()

_SECONDS = 60
#: Of what a proxy may have put into the header.
_ID = 80


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    status: int | None = None
    #: GitLab's own name for the request, by which its log is searched (https://docs.gitlab.com/administration/logs/tracing_correlation_id/).
    correlation: str | None = None

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """This came."""
        self.status = status
        self.correlation = (headers.get("X-Request-Id") or "")[:_ID] or None
        answered(status, self.correlation)


class Tally:
    """Of one client, since it was made."""

    def __init__(self) -> None:
        #: By purpose and status; ``none`` where no answer came.
        self.answers: Counter[tuple[Priority, str]] = Counter()
        #: Bytes of artifacts.
        self.received = 0
        #: The last that GitLab said anything of.
        self.quota = Quota()

    @contextmanager
    def exchange(self, priority: Priority, asked: str, url: str) -> Iterator[Exchange]:
        """Count what the block brings, from this URL; what raises without an answer, too."""
        exchange = Exchange()
        began = time.monotonic()
        with requesting(asked.partition(" ")[0], url, priority):
            try:
                yield exchange
            except RemoteError as error:
                self._ended(exchange, priority, asked, began, error=error.answer)
                raise
            else:
                self._ended(exchange, priority, asked, began)

    def came(self, size: int) -> None:
        """So many bytes of artifacts."""
        self.received += size

    def told(self, quota: Quota) -> None:
        """Of the quota in an answer's headers."""
        if quota.limit is not None or quota.remaining is not None:
            self.quota = quota

    def _ended(self, exchange: Exchange, priority: Priority, asked: str, began: float, *, error: str = "") -> None:
        self.answers[priority, "none" if exchange.status is None else str(exchange.status)] += 1
        log.debug(
            "request.ended",
            asked=asked,
            purpose=priority.name.lower(),
            status=exchange.status,
            seconds=round(time.monotonic() - began, 3),
            gitlab_request=exchange.correlation,
            error=error,
        )


class Minute:
    """How many there were in the last minute, to the second."""

    def __init__(self) -> None:
        self._counts = [0] * _SECONDS
        self._at = 0

    def add(self, now: float) -> None:
        """One more; ``now`` in seconds of a monotonic clock."""
        self._forget(int(now))
        self._counts[self._at % _SECONDS] += 1

    def count(self, now: float) -> int:
        """How many there were."""
        self._forget(int(now))
        return sum(self._counts)

    def _forget(self, second: int) -> None:
        for gone in range(max(self._at + 1, second - _SECONDS + 1), second + 1):
            self._counts[gone % _SECONDS] = 0
        self._at = max(self._at, second)

"""What goes on between here and GitLab, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from artifact_sync.ports.remote import Priority, TokenInfo

__all__ = ["Traffic", "TrafficFigures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficFigures:
    """Since the start, or at this moment."""

    #: How many requests were answered so, by purpose and HTTP status; ``none``: the connection failed before any answer.
    answers: Mapping[tuple[Priority, str], int]
    #: Bytes of artifacts that came; what lay here already is not among them.
    received: int
    #: Requests: what the configuration allows in a minute, the part of it that is asked for at present (it falls when
    #: GitLab refuses for too many), and how many may still go out in this minute.
    per_minute: float
    factor: float
    remaining: int
    #: Requests that wait for their turn, and seconds until any may go out.
    waiting: int
    pause: float
    #: What GitLab's last answer with such headers said of its own quota: requests, and the Unix time when the next window
    #: begins.
    quota_limit: int | None
    quota_remaining: int | None
    quota_reset: int | None
    #: Whether GitLab refused the credential, by what it is for (``read``, ``keep``).
    refused: Mapping[str, bool]


class Traffic(Protocol):
    """Where it is counted."""

    def traffic(self) -> TrafficFigures:
        """As they are now."""

    async def tokens(self) -> Mapping[str, TokenInfo]:
        """What GitLab tells of each token, by what it is for; one request for each. Raises as ``Remote.token``."""

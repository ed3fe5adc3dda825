"""What every handler works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from anyio import CapacityLimiter

from artifact_sync.ports import Clock, PinnedJob
from artifact_sync.ports.catalogue import Catalogue, Room
from artifact_sync.web.access import Readers

__all__ = ["REPLICA", "Fetches", "Pins", "Replica", "replica_of"]


class Pins(Protocol):
    """Where pins are written down."""

    async def pin(self, pinned: PinnedJob) -> None:
        """As ``ports.PruningState.pin``."""


class Fetches(Protocol):
    """Who brings what is asked for and not mirrored yet."""

    async def bring(self, project: int | str, job_id: int) -> int | None:
        """The project's id once the job's transfers have ended; None: nothing of it is mirrored here. Raises TimeoutError."""


def _inflating() -> CapacityLimiter:
    return CapacityLimiter(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What is served, to whom, and out of what."""

    catalogue: Catalogue
    room: Room
    pins: Pins
    clock: Clock
    #: Of the GitLab that is mirrored, without a slash at its end: pages there are linked to.
    gitlab: str
    readers: Readers
    fetches: Fetches | None = None
    #: Whether discovery goes on.
    alive: Callable[[], Awaitable[bool]]
    #: Threads that read in archives and unpack: each has up to a directory in memory.
    inflating: CapacityLimiter = field(default_factory=_inflating)
    #: One that lists an archive: of many files that takes hundreds of MiB.
    listing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))


REPLICA = web.AppKey("replica", Replica)


def replica_of(request: web.Request) -> Replica:
    """What the application serves, as a handler's or a middleware's request has it."""
    return request.config_dict[REPLICA]

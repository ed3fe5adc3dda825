"""The record of every request that reached the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Origin", "RequestSeen", "Requests"]

Origin = Literal["gitlab", "storage"]


@dataclass(slots=True, eq=False)
class RequestSeen:
    """One request. ``path`` is as on the wire, ``query`` decoded, ``headers`` case-insensitive.

    ``status`` is None until an answer was decided, and 0 when the connection was closed instead.
    """

    origin: Origin
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: datetime
    status: int | None = None


class Requests(list[RequestSeen]):
    """Requests in the order of their arrival; the older half is forgotten above ``most``. ``total`` counts on."""

    def __init__(self, *, most: int = 20_000) -> None:
        super().__init__()
        self.most = most
        self.total = 0

    def add(self, request: RequestSeen) -> None:
        """Record a request."""
        self.total += 1
        self.append(request)
        if len(self) > self.most:
            del self[: self.most // 2]

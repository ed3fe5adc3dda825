"""GitLab's two kinds of rate limit, which answer 429 in two shapes.

Rack::Attack (lib/gitlab/rack_attack.rb, lib/gitlab/rack_attack/request_throttle_data.rb): a fixed window aligned to the
epoch; ``text/plain``, ``RateLimit-*`` and ``Retry-After``. ApplicationRateLimiter (lib/api/helpers/rate_limiter.rb):
per user and action; JSON without any of those headers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

__all__ = ["Limits", "Quota", "Throttle"]

_MINUTE = 60


@dataclass(slots=True, kw_only=True)
class Throttle:
    """A Rack::Attack throttle: ``limit`` requests of one bearer per ``period`` seconds.

    ``announce`` also sends the common headers on answers that were not throttled, as newer versions do.
    """

    limit: int
    period: int = _MINUTE
    name: str = "throttle_authenticated_api"
    text: str = "Retry later\n"
    announce: bool = False
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, who: str, now: datetime) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it is refused, and the headers to send."""
        window = int(now.timestamp()) // self.period
        at, before = self._seen.get(who, (window, 0))
        observed = before + 1 if at == window else 1
        self._seen[who] = (window, observed)
        refused = observed > self.limit
        if not (refused or self.announce):
            return False, {}
        reset = (window + 1) * self.period
        headers = {
            "RateLimit-Name": self.name,
            # Limit is given per minute whatever the period is, Remaining is not.
            "RateLimit-Limit": str(math.ceil(self.limit * _MINUTE / self.period)),
            "RateLimit-Observed": str(observed),
            "RateLimit-Remaining": str(max(0, self.limit - observed)),
            "RateLimit-Reset": str(reset),
        }
        if refused:
            headers["RateLimit-ResetTime"] = format_datetime(datetime.fromtimestamp(reset, UTC), usegmt=True)
            headers["Retry-After"] = str(max(1, math.ceil(reset - now.timestamp())))
        return refused, headers


@dataclass(slots=True, kw_only=True)
class Quota:
    """An ApplicationRateLimiter threshold: ``limit`` calls of one user per ``period`` seconds."""

    limit: int
    period: int = _MINUTE
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def refuses(self, who: str, now: datetime) -> bool:
        """Count one call; whether it is one too many."""
        window = int(now.timestamp()) // self.period
        at, before = self._seen.get(who, (window, 0))
        observed = before + 1 if at == window else 1
        self._seen[who] = (window, observed)
        return observed > self.limit


@dataclass(slots=True, kw_only=True)
class Limits:
    """The limits in force; none by default. GitLab's own default for ``jobs_index`` is 600 a minute and user."""

    throttle: Throttle | None = None
    jobs_index: Quota | None = None
    group_projects: Quota | None = None

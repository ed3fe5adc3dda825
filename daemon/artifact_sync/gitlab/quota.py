"""What a server says about its quotas.

https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers; lib/gitlab/rack_attack.rb and
lib/api/helpers/rate_limiter.rb send 429 in two shapes, the second without any of these headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from artifact_sync.gitlab.dates import http_date

__all__ = ["Quota"]

_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The quota headers of one answer. None: the server did not say.

    ``remaining`` counts requests of the window that ends at ``reset`` (Unix time), whatever its length.
    ``retry_after`` is in seconds. ``limit`` is per minute.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    retry_after: float | None = None
    #: A limit of one endpoint (ApplicationRateLimiter answers in JSON without RateLimit headers), not of all requests.
    endpoint_only: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str], now: datetime) -> Quota:
        """Read the headers; ``now`` is the server's time, for a Retry-After that is a date."""
        limit, remaining, reset = (
            _number(headers.get(f"RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset")
        )
        in_json = headers.get("Content-Type", "").lower().startswith("application/json")
        return cls(
            limit=limit,
            remaining=remaining,
            reset=reset,
            retry_after=_retry_after(headers.get("Retry-After"), now),
            endpoint_only=in_json and remaining is None and limit is None,
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None


def _retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds, from seconds or a date (RFC 9110 section 10.2.3)."""
    if text is None:
        return None
    if (seconds := _number(text)) is not None:
        return float(seconds)
    date = http_date(text)
    return None if date is None else max(0.0, (date - now).total_seconds())

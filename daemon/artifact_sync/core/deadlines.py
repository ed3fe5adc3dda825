"""When `keep` has to be called."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["keep_due"]

_LEAST_MARGIN = timedelta(hours=1)
_LEAST_PART = 0.1
_LEAST_POLLS = 3


def keep_due(
    *, expire_at: datetime, finished_at: datetime | None, lead: timedelta, poll_interval: timedelta
) -> datetime:
    """When to keep artifacts that expire at ``expire_at``.

    ``lead`` before it, but with a margin of an hour, a tenth of their lifetime and three polls at the least: GitLab
    answers 404 to a keep that comes after the expiry, even where the files are still there. Never earlier than half
    the lifetime before it, or everything short-lived would be kept the moment it appears, by a write that the download
    already under way makes needless.
    """
    margin = max(lead, _LEAST_MARGIN, _LEAST_POLLS * poll_interval)
    if finished_at is None:
        return expire_at - margin
    lifetime = max(expire_at - finished_at, timedelta())
    return expire_at - min(max(margin, lifetime * _LEAST_PART), lifetime / 2)

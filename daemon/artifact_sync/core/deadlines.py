"""When `keep` has to be called, and when a transfer's turn has come."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["PRESSING", "keep_due", "turn"]

#: Transfers whose turn has come within this time go strictly by it, across all projects; the others in fair turns.
PRESSING = timedelta(days=7)
#: What has no deadline presses, too, after this time less ``PRESSING``.
_PATIENCE = timedelta(days=14)
_PATIENCE_OF_HISTORY = timedelta(days=30)

_LEAST_MARGIN = timedelta(hours=1)
_LEAST_PART = 0.1
_LEAST_POLLS = 3
#: Of the time that is left when artifacts are found, the part in which their download may make the keep needless.
_HEAD_START = 0.25


def keep_due(
    *,
    now: datetime,
    expire_at: datetime,
    finished_at: datetime | None,
    lead: timedelta,
    poll_interval: timedelta,
) -> datetime:
    """When to keep artifacts that are found now and expire at ``expire_at``.

    ``lead`` before it, but with a margin of an hour, a tenth of their lifetime and three polls at the least: GitLab
    answers 404 to a keep that comes after the expiry, even where the files are still there. Never earlier than half the
    lifetime before it, nor before a quarter of the time that was left when they were found, or everything short-lived, and
    a whole backlog, would be kept the moment it appears: two requests each, which the download under way makes needless.
    """
    lifetime = timedelta.max if finished_at is None else max(expire_at - finished_at, timedelta())
    part = timedelta() if finished_at is None else lifetime * _LEAST_PART
    margin = max(_LEAST_MARGIN, _LEAST_POLLS * poll_interval, part)
    due = expire_at - min(max(lead, margin), lifetime / 2)
    return max(due, min(now + (expire_at - now) * _HEAD_START, expire_at - margin))


def turn(deadline: datetime | None, now: datetime, *, backfill: bool) -> datetime:
    """When it is a transfer's turn at the latest: its deadline, or where it has none, a patience after it was found."""
    if deadline is not None:
        return deadline
    return now + (_PATIENCE_OF_HISTORY if backfill else _PATIENCE)

"""Dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["http_date"]


def http_date(text: str) -> datetime | None:
    """An HTTP date (RFC 9110 section 5.6.7) in UTC; None for anything else.

    ``-0000`` is UTC without a place (RFC 5322 section 3.3), which the standard library returns without an offset.
    """
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

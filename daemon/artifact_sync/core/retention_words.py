"""Periods, ages and sizes as the reasons of retention name them."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["age_words", "bytes_words", "day", "month", "week"]

_SECONDS = ((86_400, "d"), (3600, "h"), (60, "m"))
_BYTES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def day(moment: datetime) -> str:
    """``2026-11-03``."""
    return moment.strftime("%Y-%m-%d")


def week(moment: datetime) -> str:
    """``2026-W45``: the first week of an ISO year is the one with its first Thursday."""
    year, number, _ = moment.isocalendar()
    return f"{year}-W{number:02}"


def month(moment: datetime) -> str:
    """``2026-11``."""
    return moment.strftime("%Y-%m")


def age_words(span: timedelta) -> str:
    """In the largest unit that gives a whole number: ``90d``, ``36h``, ``1.5s``."""
    seconds = span.total_seconds()
    for length, unit in _SECONDS:
        if seconds and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:g}s"


def bytes_words(number: int) -> str:
    """In the largest unit that gives a whole number: ``500GiB``."""
    for length, unit in _BYTES:
        if number and number % length == 0:
            return f"{number // length}{unit}"
    return f"{number}B"

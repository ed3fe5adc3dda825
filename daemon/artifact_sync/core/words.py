"""Sizes, durations and moments as people read them, and lines that stay lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["ago", "count", "moment", "one_line", "rate", "sentence", "size", "span"]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_ENDS = (".", "?", "!")
_SECONDS = ((86400, "d"), (3600, "h"), (60, "min"))


def size(number: int | None) -> str:
    """Bytes in the largest unit that leaves at least one: ``1.5 MiB``; ``size unknown`` for None."""
    if number is None:
        return "size unknown"
    value, unit = float(number), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{number} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def rate(number: int, seconds: float) -> str:
    """Bytes per second, ``12.3 MiB/s``; empty where no time passed."""
    return f"{size(int(number / seconds))}/s" if seconds > 0 else ""


def span(duration: timedelta | float) -> str:
    """A duration in its two largest units: ``2 d 3 h``, ``4 min 5 s``, ``0.3 s``."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 1:
        return f"{max(seconds, 0.0):.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for unit, name in (*_SECONDS, (1, "s")):
        amount, left = divmod(left, unit)
        if amount or parts:
            parts.append(f"{amount} {name}")
        if len(parts) == 2:  # noqa: PLR2004 - two units say enough
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago, or how long until: ``5 min ago``, ``in 2 d``; ``never`` for None."""
    if then is None:
        return "never"
    return f"in {span(then - now)}" if then > now else f"{span(now - then)} ago"


def moment(then: datetime | None) -> str:
    """A moment in UTC to the second; ``never`` for None."""
    if then is None:
        return "never"
    try:
        return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        # In the first and the last hours of the calendar UTC may lie outside it.
        return then.isoformat(sep=" ", timespec="seconds")


def count(number: int, one: str, many: str = "") -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """The words as a sentence of its own: with a capital in front, and an end where they have none."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(_ENDS) else '.'}"


def one_line(text: str) -> str:
    """The text without control characters: a job's name comes from strangers and must not move the cursor or forge a line."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

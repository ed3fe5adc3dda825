"""Durations, sizes, rates and shares: read strictly and written back the way a person would.

A duration is a ``timedelta``, a size is bytes, a rate bytes per second, a share a fraction of 1. Every reader raises
``Wrong`` for anything but text with a unit: a bare number leaves open what was meant.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from artifact_sync.config.problems import Wrong

__all__ = [
    "DURATION",
    "RATE",
    "SHARE",
    "SIZE",
    "duration_text",
    "parse_duration",
    "parse_rate",
    "parse_share",
    "parse_size",
    "rate_text",
    "share_text",
    "size_text",
]

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {
    "TiB": 1 << 40,
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "KB": 10**3,
    "B": 1,
}

#: The same shapes as JSON Schema patterns, so an editor and the loader agree.
DURATION = r"^[0-9]{1,10}(\.[0-9]{1,6})?[smhdw]$"
SIZE = r"^[0-9]{1,15}(\.[0-9]{1,6})?([KMGT]i?B|B)$"
RATE = r"^[0-9]{1,15}(\.[0-9]{1,6})?([KMGT]i?B|B)/s$"
SHARE = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"

_MAX_SECONDS = 100 * 366 * 86400
_MAX_BYTES = (1 << 63) - 1
_NUMBER = re.compile(r"([0-9.]+)(.*)", re.DOTALL)


def parse_duration(value: object) -> timedelta:
    """A duration such as ``30s``, ``5m``, ``2h``, ``3d``, ``2w``; at most a century.

    Raises:
        Wrong: anything else.
    """
    number, unit = _split(value, DURATION, "a duration", "s, m, h, d or w", "30s, 5m, 2h, 3d or 2w")
    seconds = number * _SECONDS[unit]
    if seconds > _MAX_SECONDS:
        raise Wrong("longer than a century", "write a shorter duration, such as 52w")
    return timedelta(microseconds=int(seconds * 1_000_000))


def parse_size(value: object) -> int:
    """A size such as ``5GiB`` in bytes.

    Raises:
        Wrong: anything else.
    """
    number, unit = _split(value, SIZE, "a size", "KiB, MiB, GiB or TiB", "64MiB or 5GiB")
    return _whole_bytes(number, unit)


def parse_rate(value: object) -> int:
    """A rate such as ``1KiB/s`` in bytes per second.

    Raises:
        Wrong: anything else.
    """
    number, unit = _split(value, RATE, "a rate", "KiB/s, MiB/s or GiB/s", "1KiB/s or 50MiB/s")
    return _whole_bytes(number, unit.removesuffix("/s"))


def parse_share(value: object) -> float:
    """A share such as ``10%`` as a fraction, 0 to 1.

    Raises:
        Wrong: anything else.
    """
    number, _ = _split(value, SHARE, "a share", "%", "10%")
    if number > 100:  # noqa: PLR2004 - the whole is a hundred per cent
        raise Wrong("a share above 100%", "write at most 100%")
    return float(number / 100)


def duration_text(value: timedelta) -> str:
    """The duration in the largest unit that gives a whole number."""
    microseconds = value // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    if rest:
        return f"{Decimal(microseconds) / 1_000_000:f}s"
    if not seconds:
        return "0s"
    # 14d and 72h are what people write; weeks only where they are meant: from four on.
    units = _SECONDS if seconds >= 4 * _SECONDS["w"] else {k: v for k, v in _SECONDS.items() if k != "w"}
    unit, length = next((u, s) for u, s in units.items() if seconds % s == 0)
    return f"{seconds // length}{unit}"


def size_text(value: int) -> str:
    """The size as the smallest whole number that a unit gives."""
    if not value:
        return "0KiB"
    unit, length = max(((u, n) for u, n in _BYTES.items() if value % n == 0), key=lambda pair: pair[1])
    return f"{value // length}{unit}"


def rate_text(value: int) -> str:
    """The rate, ``50MiB/s``."""
    return f"{size_text(value)}/s"


def share_text(value: float) -> str:
    """The share, ``10%``."""
    return f"{round(value * 100, 6):f}".rstrip("0").rstrip(".") + "%"


def _split(value: object, shape: str, kind: str, units: str, examples: str) -> tuple[Decimal, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise Wrong(f"a bare number is no {kind.split()[1]}", f"add a unit ({units}), for example {examples}")
    if not isinstance(value, str) or not re.fullmatch(shape, value):
        raise Wrong(f"not {kind}", f"write {kind} with its unit, for example {examples}")
    match = _NUMBER.fullmatch(value)
    assert match is not None  # noqa: S101 - the shape begins with digits
    return Decimal(match[1]), match[2]


def _whole_bytes(number: Decimal, unit: str) -> int:
    size = int(number * _BYTES[unit])
    if size > _MAX_BYTES:
        raise Wrong("larger than any disk", "write a smaller size, such as 10TiB")
    return size

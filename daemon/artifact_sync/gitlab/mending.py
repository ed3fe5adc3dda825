"""What single values of an answer can be without its object being lost: moments that no calendar has, and half characters.

Both are rare, so an answer is decoded as it is first (``decoding``), and mended when that failed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from artifact_sync.core.model import YEARS

__all__ = ["EARLIEST", "LATEST", "with_moments", "with_whole_characters"]

#: The farthest moments that are held: any offset and any margin can be applied to them.
EARLIEST = datetime(YEARS[0], 1, 1, tzinfo=UTC)
LATEST = datetime(YEARS[-1], 12, 31, 23, 59, 59, tzinfo=UTC)

#: ISO 8601, with the signs and the long years of its expanded form.
_MOMENT = re.compile(r"([+-]?)([0-9]{4,})(-[0-9]{2}-[0-9]{2}(?:[T ].*)?)", re.DOTALL)
#: GitLab names every moment so: created_at, artifacts_expire_at.
_NAMED = "_at"
#: An escaped character of JSON, and what can only be half of one (RFC 8259 sections 7 and 8.2): a high half and the low one
#: behind it are whole.
_ESCAPED = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_MAYBE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def with_whole_characters(body: bytes) -> bytes:
    """The same JSON, with U+FFFD and its number in place of every lone surrogate; ``body`` itself where it has none.

    UTF-8, and so no file name and no database, can hold one. The number keeps two names apart that differ in it alone.
    """
    return _ESCAPED.sub(_whole, body) if _MAYBE_HALF.search(body) else body


def _whole(escaped: re.Match[bytes]) -> bytes:
    half = escaped.group(1)
    return escaped.group() if half is None else rb"\ufffd" + half.lower()


def with_moments(entry: bytes) -> bytes:
    """The same JSON object, with moments that can be held: its own, and those of the objects in it.

    One beyond ``LATEST`` or before ``EARLIEST`` becomes that, one without an offset is in UTC, and what is no moment at all
    counts as left out. Raises ValueError and RecursionError for what is no JSON.
    """
    told = msgspec.json.decode(entry)
    if isinstance(told, dict):
        told = {name: _held(value) if isinstance(value, dict) else value for name, value in _held(told).items()}
    return msgspec.json.encode(told)


def _held(fields: dict[str, object]) -> dict[str, object]:
    return {name: _moment(value) if name.endswith(_NAMED) else value for name, value in fields.items()}


def _moment(value: object) -> datetime | None:
    written = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        return None
    sign, digits, rest = written.groups()
    year = digits.lstrip("0")
    if sign == "-" or int(year[:5] or "0") < YEARS[0]:
        return EARLIEST
    if len(year) > len(str(YEARS[-1])) or int(year) > YEARS[-1]:
        return LATEST
    # A leap second is none to Python: the day is known all the same.
    for told in (rest, rest[:6]):
        try:
            found = datetime.fromisoformat(year + told)
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return None

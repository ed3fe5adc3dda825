"""Pages as GitLab gives them: by cursor, or by number. No IO: a page is cut from one row more than it holds.

lib/gitlab/pagination/cursor_based_keyset and offset_pagination.rb; https://docs.gitlab.com/api/rest/#pagination
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from artifact_sync.web.answers import ApiError, invalid

__all__ = ["Asked", "Offset", "after_header", "cursor_headers", "cursor_id", "offset_headers", "offset_of", "page_size"]

_MOST = 100
_DEFAULT = 20
#: SQLite's integers; GitLab's ids are as large.
_LARGEST = 2**63 - 1
#: Digits of a page's number, so that its offset is such an integer.
_DIGITS = 12
_NOT_THIS_ORDER = "Keyset pagination is not yet available for this type of request"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a list: its address without query, its parameters, and those that name what the path does."""

    address: str
    query: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The last value of a parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def rebuilt(self, changes: Mapping[str, str]) -> str:
        """The same request with other parameters, in their order by name."""
        kept = [(key, value) for key, value in self.query if key not in changes]
        single = {key: value for key, value in kept if not key.endswith("[]")}
        several = [(key, value) for key, value in kept if key.endswith("[]")]
        every = sorted([*single.items(), *several, *changes.items()], key=lambda pair: pair[0])
        return f"{self.address}?{urlencode(every)}"


@dataclass(frozen=True, slots=True)
class Offset:
    """A page by number, from 1 on."""

    page: int
    size: int

    @property
    def start(self) -> int:
        """Rows before it."""
        return (self.page - 1) * self.size


def page_size(asked: Asked) -> int:
    """Rows of a page: 20 by default, 100 at most. Raises ApiError 400."""
    return min(_number(asked, "per_page", _DEFAULT), _MOST)


def offset_of(asked: Asked) -> Offset:
    """Which page is asked for. Raises ApiError 400."""
    return Offset(_number(asked, "page", 1), page_size(asked))


def cursor_id(asked: Asked) -> int | None:
    """The id behind which a page by cursor begins; None for the first one.

    Jobs are ordered by ``id desc`` and by nothing else (app/models/ci/build.rb, ``supported_keyset_orderings``). Raises
    ApiError 405 for another order, 400 for what is no cursor.
    """
    if (asked.get("order_by") or "id") != "id" or (asked.get("sort") or "desc") != "desc":
        raise ApiError(405, {"error": _NOT_THIS_ORDER})
    if (text := asked.get("cursor")) is None:
        return None
    try:
        found = int(msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["id"])
    except (binascii.Error, msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise invalid("cursor") from wrong
    if not 0 <= found <= _LARGEST:
        raise invalid("cursor")
    return found


def cursor_headers(asked: Asked, last: int | None) -> dict[str, str]:
    """``Link`` to the page behind the row ``last``; no header at all on the last page (None)."""
    if last is None:
        return {}
    state = msgspec.json.encode({"id": str(last), "_kd": "n"})
    return after_header(asked, {"cursor": base64.urlsafe_b64encode(state).decode()})


def after_header(asked: Asked, changes: Mapping[str, str]) -> dict[str, str]:
    """``Link`` to what follows."""
    return {"Link": f'<{asked.rebuilt(changes)}>; rel="next"'}


def offset_headers(asked: Asked, offset: Offset, *, more: bool, total: int | None = None) -> dict[str, str]:
    """The headers of a page by number. ``total`` rows where they were counted; without it no totals are given."""
    page, size = offset.page, offset.size
    links = {"prev": page - 1 if page > 1 else None, "next": page + 1 if more else None, "first": 1}
    headers = {
        "X-Next-Page": str(page + 1) if more else "",
        "X-Page": str(page),
        "X-Per-Page": str(size),
        "X-Prev-Page": str(page - 1) if page > 1 else "",
    }
    if total is not None:
        pages = math.ceil(total / size)
        headers |= {"X-Total": str(total), "X-Total-Pages": str(pages)}
        links["last"] = max(1, pages)
    headers["Link"] = ", ".join(_links(asked, size, links.items()))
    return headers


def _links(asked: Asked, size: int, links: Iterable[tuple[str, int | None]]) -> Iterable[str]:
    for name, number in links:
        if number is not None:
            url = asked.rebuilt({"page": str(number), "per_page": str(size)})
            yield f'<{url}>; rel="{name}"'


def _number(asked: Asked, field: str, default: int) -> int:
    text = asked.get(field)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
        raise ApiError(400, {"error": f"{field} is invalid"})
    if int(text) == 0:
        raise invalid(field)
    return int(text)

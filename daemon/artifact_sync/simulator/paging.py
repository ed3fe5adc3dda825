"""Pages: keyset with a cursor for jobs, keyset by id for projects, offset everywhere else."""

from __future__ import annotations

import base64
import binascii
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from yarl import URL

from artifact_sync.simulator.replies import ApiError, invalid, world_of

__all__ = ["cursor_of", "cursor_page", "keyset_asked", "offset_page", "per_page", "rebuilt"]

T = TypeVar("T")
_MOST = 100
#: Above this many rows the totals are left out (doc/api/rest/_index.md).
_COUNTED = 10_000


def per_page(request: web.Request) -> int:
    """Rows asked for: 20 by default, clamped to 100; 0 and what is no number is 400."""
    return min(_number(request, "per_page", 20), _MOST)


def keyset_asked(request: web.Request) -> bool:
    """Whether ``pagination=keyset`` was asked for."""
    return request.query.get("pagination") == "keyset"


def rebuilt(request: web.Request, **changes: str) -> str:
    """The request's URL for a Link header.

    Host and port are those of ``external_url``, the scheme that of the request, as a proxy in front of it tells; the query
    is put together from the parsed parameters, so the project's ``id`` joins it and a token that came in the query is
    repeated (lib/gitlab/pagination/cursor_based_keyset, header_builder.rb, 18.x).
    """
    params: dict[str, str | list[str]] = {}
    for key in request.query:
        values = request.query.getall(key)
        params[key] = list(values) if key.endswith("[]") else values[-1]
    if "id" in request.match_info:
        params["id"] = request.match_info["id"]
    params |= changes
    world = world_of(request)
    served = URL(world.external_url or world.url)
    port = "" if served.explicit_port is None else f":{served.explicit_port}"
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    return f"{scheme}://{served.host}{port}{request.rel_url.raw_path}?{urlencode(sorted(params.items()), doseq=True)}"


def cursor_of(request: web.Request) -> int | None:
    """The id behind which a keyset page continues; None for the first page.

    Jobs can be ordered by ``id desc`` alone (app/models/ci/build.rb, ``supported_keyset_orderings``); anything else is
    405 in these words (https://gitlab.com/gitlab-org/gitlab/-/issues/417667).
    """
    if request.query.get("order_by", "id") != "id" or request.query.get("sort", "desc") != "desc":
        message = "Keyset pagination is not yet available for this type of request"
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, {"error": message})
    if (text := request.query.get("cursor")) is None:
        return None
    try:
        return int(msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["id"])
    except (binascii.Error, msgspec.DecodeError, ValueError, KeyError, TypeError) as wrong:
        raise invalid("cursor") from wrong


def cursor_page(
    request: web.Request, rows: Iterable[T], identify: Callable[[T], int]
) -> tuple[list[T], dict[str, str]]:
    """One keyset page of rows that start behind the cursor, and its headers.

    Only ``Link`` with ``rel="next"``, and on the last page nothing at all: no X-Total, no X-Page.
    """
    size = per_page(request)
    found = list(itertools.islice(rows, size + 1))
    if len(found) <= size:
        return found, {}
    page = found[:size]
    state = msgspec.json.encode({"id": str(identify(page[-1])), "_kd": "n"})
    cursor = base64.urlsafe_b64encode(state).decode()
    return page, {"Link": f'<{rebuilt(request, cursor=cursor)}>; rel="next"'}


def offset_page(
    request: web.Request, rows: Sequence[T] | Iterable[T], *, counted: bool = True, limited: str | None = None
) -> tuple[list[T], dict[str, str]]:
    """One page by number, and its headers (lib/gitlab/pagination/offset_header_builder.rb).

    ``counted=False`` (the job list) leaves out X-Total, X-Total-Pages and rel="last". ``limited`` is the type whose
    maximum offset is enforced, with 405 (lib/api/helpers/pagination_strategies.rb).
    """
    page, size = _number(request, "page", 1), per_page(request)
    limit = world_of(request).offset_limit
    if limited is not None and page * size > limit:
        message = (
            f"Offset pagination has a maximum allowed offset of {limit} for requests that return objects of type "
            f"{limited}. Remaining records can be retrieved using keyset pagination."
        )
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, {"error": message})
    start = (page - 1) * size
    found = list(itertools.islice(rows, start, start + size + 1))
    more = len(found) > size
    links = {"prev": page - 1 if page > 1 else None, "next": page + 1 if more else None, "first": 1}
    headers = {
        "X-Next-Page": str(page + 1) if more else "",
        "X-Page": str(page),
        "X-Per-Page": str(size),
        "X-Prev-Page": str(page - 1) if page > 1 else "",
    }
    if counted and isinstance(rows, Sequence) and len(rows) <= _COUNTED:
        pages = max(1, math.ceil(len(rows) / size))
        headers |= {"X-Total": str(len(rows)), "X-Total-Pages": str(math.ceil(len(rows) / size))}
        links["last"] = pages
    headers["Link"] = ", ".join(
        f'<{rebuilt(request, page=str(number), per_page=str(size))}>; rel="{name}"'
        for name, number in links.items()
        if number is not None
    )
    return found[:size], headers


def _number(request: web.Request, field: str, default: int) -> int:
    text = request.query.get(field)
    if text is None:
        return default
    if not text.isdecimal():
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": f"{field} is invalid"})
    if int(text) == 0:
        raise invalid(field)
    return int(text)

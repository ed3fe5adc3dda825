"""Places in a list: a path and query relative to the API, without secrets, good after a restart too.

GitLab's keyset and offset pages are both followed by ``Link``: https://docs.gitlab.com/api/rest/#pagination
Its links point at the server's configured external URL, which may be another than the one that is configured here, and
repeat every parameter of the request: lib/gitlab/pagination/cursor_based_keyset.rb, header_builder.rb (18.x).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from multidict import MultiMapping

from artifact_sync.errors import Refused
from artifact_sync.gitlab.address import Address

__all__ = ["SIZES", "anchored", "following", "next_links", "place", "resized", "scoped", "size_of", "without_keyset"]

#: Rows of a page, from GitLab's maximum down to what a struggling database can still answer.
SIZES = (100, 50, 25, 10)

_SECRET = frozenset({"private_token", "access_token", "job_token", "token"})
_KEYSET = frozenset({"pagination", "order_by", "sort", "cursor"})
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_PLACE = re.compile(r"[!-~]+")
_LONGEST = 8192


def place(path: str, params: Mapping[str, str | int]) -> str:
    """The first page of a list."""
    return f"{path}?{urlencode(params, quote_via=quote)}"


def scoped(path: str, params: Mapping[str, str], statuses: Collection[str]) -> str:
    """The first page of a list of jobs in one of these statuses; none given: in any."""
    scope = "".join(f"&scope%5B%5D={quote(status, safe='')}" for status in statuses)
    return place(path, {**params, "per_page": SIZES[0]}) + scope


def next_links(header: str) -> Iterator[str]:
    """The URLs with ``rel="next"`` in a Link header (RFC 8288 section 3)."""
    for part in header.split("<")[1:]:
        url, closed, rest = part.partition(">")
        if closed and any("next" in (a or b).lower().split() for a, b in _REL.findall(rest)):
            yield url


def anchored(url: str, address: Address, *, asked: str) -> str:
    """The place that a link points at. Its host does not matter: the request goes to the configured address.

    Raises Refused when it lies outside the API, or is nothing that could be asked for.
    """
    try:
        parts = urlsplit(url) if len(url) <= _LONGEST and _PLACE.fullmatch(url) else None
    except ValueError:
        parts = None
    path = address.below_api(parts.path) if parts else None
    if parts is None or not path:
        raise Refused(
            asked,
            "a link or redirect that leads outside the API",
            hint="GitLab's external_url and gitlab.url must end in the same path (relative URL root).",
        )
    return _joined(path, [(key, raw) for key, raw in _split(parts.query) if key not in _SECRET])


def following(headers: MultiMapping[str], at: str, address: Address, *, asked: str) -> str | None:
    """The place behind the page at ``at``, as its headers say; None: that was the last one.

    ``X-Next-Page`` counts only where there is no Link header at all. Raises Refused, see ``anchored``.
    """
    links: list[str] = headers.getall("Link", [])
    if links:
        url = next(next_links(", ".join(links)), None)
        return None if url is None else anchored(url, address, asked=asked)
    number = headers.get("X-Next-Page", "").strip()
    return _with(at, page=number) if re.fullmatch("[1-9][0-9]{0,9}", number) else None


def size_of(at: str) -> int:
    """Rows of the page at this place; GitLab's default where it does not say."""
    return _number(_split(at.partition("?")[2]), "per_page", 20)


def resized(at: str, size: int) -> str:
    """The same place with pages of another size.

    An offset page begins at the row where the old one did, or earlier when that is no multiple of ``size``: rows may come
    twice then, and none is left out.
    """
    query = _split(at.partition("?")[2])
    page = _number(query, "page", 1)
    if page == 1 or any(key == "cursor" for key, _ in query):
        return _with(at, per_page=str(size))
    first = (page - 1) * size_of(at)
    return _with(at, per_page=str(size), page=str(first // size + 1))


def without_keyset(at: str) -> str:
    """The same list by offset, from its beginning, in the order that GitLab gives by default (id, newest first)."""
    path, _, query = at.partition("?")
    return _joined(path, [(key, raw) for key, raw in _split(query) if key not in _KEYSET])


def _split(query: str) -> list[tuple[str, str]]:
    """(decoded name, parameter as it was written): what is not changed stays as it is, byte for byte."""
    return [(unquote_plus(raw.partition("=")[0]).lower(), raw) for raw in query.split("&") if raw]


def _joined(path: str, query: list[tuple[str, str]]) -> str:
    return path + ("?" + "&".join(raw for _, raw in query) if query else "")


def _with(at: str, **changes: str) -> str:
    path, _, query = at.partition("?")
    kept = [(key, raw) for key, raw in _split(query) if key not in changes]
    return _joined(path, kept + [(key, f"{key}={value}") for key, value in changes.items()])


def _number(query: list[tuple[str, str]], name: str, default: int) -> int:
    found = next((raw.partition("=")[2] for key, raw in query if key == name), "")
    return int(found) if re.fullmatch("[1-9][0-9]{0,9}", found) else default

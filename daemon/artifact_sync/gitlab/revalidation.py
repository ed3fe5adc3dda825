"""Pages of lists that are asked for again and again: an unchanged one is answered with 304, and shown as it was.

GitLab's JSON has weak ETags, made of the body alone (Rack::ETag and Rack::ConditionalGet, lib/rack/etag.rb and
conditional_get.rb, which Rails puts in front of every application): RFC 9110 section 13.1.2, RFC 9111 section 4.3.
"""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from multidict import CIMultiDict, MultiMapping

from artifact_sync.gitlab.cursors import size_of
from artifact_sync.gitlab.tokens import Token
from artifact_sync.gitlab.transport import Answer

__all__ = ["Look", "PageCache"]

#: Entries, bytes of all of them, and bytes of one: a hundred jobs, which pack to a tenth.
_MOST, _MOST_BYTES, _MOST_EACH = 4096, 32 << 20, 64 << 10
#: Bodies above this are not even packed to see what becomes of them.
_LONGEST = 2 << 20
#: What an entry takes beside its bytes, about.
_OVERHEAD = 600
_ETAG = re.compile(r'(?:W/)?"[!#-~]{1,200}"')
#: What says where the next page is.
_PAGING = ("Link", "X-Next-Page")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    etag: str
    packed: bytes
    paging: tuple[tuple[str, str], ...]

    def size(self, at: str) -> int:
        texts = sum(len(name) + len(value) for name, value in self.paging)
        return _OVERHEAD + len(at) + len(self.etag) + len(self.packed) + texts


class PageCache:
    """The last answer for each place, seldom used ones leaving first.

    What one token may see tells nothing about another: entries are of a single token, and go when it changes.
    """

    def __init__(self, *, most: int = _MOST, most_bytes: int = _MOST_BYTES, most_each: int = _MOST_EACH) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._most_each = most_each
        self._token: Token | None = None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._bytes

    def find(self, at: str, token: Token) -> _Kept | None:
        """What this token was answered here."""
        if token != self._token:
            self._kept.clear()
            self._bytes = 0
            self._token = token
        if at in self._kept:
            self._kept.move_to_end(at)
        return self._kept.get(at)

    def put(self, at: str, token: Token, kept: _Kept) -> None:
        """Remember, unless the token has changed in the meantime, or it is too much for one."""
        if token != self._token:
            return
        self.forget(at)
        size = kept.size(at)
        if size > self._most_each:
            return
        self._kept[at] = kept
        self._bytes += size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self.forget(next(iter(self._kept)))

    def forget(self, at: str) -> None:
        """Ask without a condition the next time."""
        if (old := self._kept.pop(at, None)) is not None:
            self._bytes -= old.size(at)


class Look:
    """One page asked for, on the condition that it is another than the one that is remembered."""

    def __init__(self, cache: PageCache, at: str) -> None:
        self._cache = cache
        self._at = at
        self._token: Token | None = None
        self._kept: _Kept | None = None
        self._shown = False

    def condition(self, token: Token) -> Mapping[str, str]:
        """The headers of a request that shows this token."""
        self._token = token
        self._kept = self._cache.find(self._at, token)
        return {} if self._kept is None else {"If-None-Match": self._kept.etag}

    def moved(self) -> None:
        """Another URL answers for this one: an ETag is of one URL, so nothing is remembered."""
        self._token = self._kept = None
        self._cache.forget(self._at)

    def resolved(self, answer: Answer) -> Answer | None:
        """The answer with its body; None for a 304 that means another body, to be asked for again."""
        if answer.status != HTTPStatus.NOT_MODIFIED:
            return answer
        kept = self._kept
        etag = answer.headers.get("ETag")
        if kept is None or self._token is None or (etag is not None and _opaque(etag) != _opaque(kept.etag)):
            self._cache.forget(self._at)
            return None
        # The ETag is of the body alone, and another page can have come behind it. Rack leaves these headers on a 304, and
        # then they are the newer ones (RFC 9111 section 3.2); others on the way may take them off.
        if (paging := _paging(answer.headers)) and paging != kept.paging:
            kept = replace(kept, paging=paging)
            self._cache.put(self._at, self._token, kept)
        self._shown = True
        return Answer(status=HTTPStatus.OK, headers=CIMultiDict(kept.paging), body=zlib.decompress(kept.packed))

    def remember(self, answer: Answer, *, rows: int, more: bool) -> None:
        """Keep a page of so many rows, with ``more`` behind it, for the next time.

        A full page that is the last one is not kept: what comes behind it leaves its body and so its ETag as they are, and
        a 304 without headers about the next page would hide that for ever.
        """
        lasting = more or rows < size_of(self._at)
        if self._shown and lasting:
            return
        self._cache.forget(self._at)
        etag = answer.headers.get("ETag", "")
        storable = "no-store" not in answer.headers.get("Cache-Control", "").lower() and len(answer.body) <= _LONGEST
        if self._token is not None and lasting and storable and _ETAG.fullmatch(etag):
            kept = _Kept(etag=etag, packed=zlib.compress(answer.body, 1), paging=_paging(answer.headers))
            self._cache.put(self._at, self._token, kept)


def _paging(headers: MultiMapping[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name in _PAGING for value in headers.getall(name, []))


def _opaque(etag: str) -> str:
    """For the weak comparison (RFC 9110 section 8.8.3.2): a proxy that packs answers weakens their ETags."""
    return etag.removeprefix("W/")

"""Ranges and entity tags: when bytes may be put behind those that are here already (RFC 9110 sections 8.8.3, 13, 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

__all__ = ["Wanted", "continues", "strong_etag"]

_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The rest of an entity from ``offset`` on: ``etag`` is its strong tag, ``total`` its full size in bytes."""

    offset: int
    etag: str
    total: int

    @classmethod
    def of(cls, offset: int, etag: str | None, total: int | None) -> Wanted | None:
        """None when nothing can be continued: no bytes, no strong tag, no full size, or no rest."""
        strong = strong_etag(etag)
        if strong is None or total is None or not 0 < offset < total:
            return None
        return cls(offset=offset, etag=strong, total=total)

    @property
    def headers(self) -> dict[str, str]:
        """Ask for the rest, or for everything when the entity has changed."""
        return {"Range": f"bytes={self.offset}-", "If-Range": self.etag}


def strong_etag(text: str | None) -> str | None:
    """The tag with its quotes; None for a weak one, which does not promise the same bytes, or none."""
    tag = (text or "").strip()
    return tag if _STRONG.fullmatch(tag) else None


def continues(wanted: Wanted, status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer is exactly the rest that was asked for, of the same entity."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if status != HTTPStatus.PARTIAL_CONTENT or found is None:
        return False
    if headers.get("Content-Type", "").lower().startswith("multipart/"):
        return False
    first, last, total = map(int, found.groups())
    return (
        (first, last, total) == (wanted.offset, wanted.total - 1, wanted.total)
        and strong_etag(headers.get("ETag")) == wanted.etag
        and headers.get("Content-Length", "").strip() == str(last - first + 1)
    )

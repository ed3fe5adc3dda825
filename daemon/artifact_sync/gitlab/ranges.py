"""Ranges and entity tags: when bytes may be put behind those that are here already (RFC 9110 sections 8.8.3, 13, 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from artifact_sync.gitlab.dates import http_date
from artifact_sync.ports import Pin

__all__ = ["Stretch", "Wanted", "continues", "pin_of", "strong_etag"]

_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
#: A file that was changed this long before it was sent is not changed again within the second that Last-Modified tells, and
#: two clocks of one server do not differ by more. RFC 9110 asks for less, RFC 7232 section 2.2.2 asked for this.
_SETTLED = timedelta(seconds=60)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Bytes from ``start`` until before ``stop``, or the last ``-start``, of the entity ``pin``, or of whatever is there."""

    start: int
    stop: int | None
    pin: Pin | None

    @property
    def headers(self) -> dict[str, str]:
        """Ask for it, or for everything when the entity has changed."""
        last = "" if self.stop is None else str(self.stop - 1)
        asked = {"Range": f"bytes={self.start}" if self.start < 0 else f"bytes={self.start}-{last}"}
        validator = (self.pin.etag or self.pin.modified) if self.pin else None
        return asked | ({"If-Range": validator} if validator else {})

    def granted(self, status: int, headers: Mapping[str, str]) -> tuple[int, int, int] | None:
        """(first byte, byte behind the last, size of all) of an answer that is exactly this; else None."""
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if status != HTTPStatus.PARTIAL_CONTENT or found is None:
            return None
        first, last, total = map(int, found.groups())
        start = max(0, total + self.start) if self.start < 0 else self.start
        stop = total if self.stop is None else self.stop
        exact = (first, last + 1) == (start, stop) and first <= last < total
        # A chunked answer has none; whoever reads it counts.
        length = headers.get("Content-Length", "").strip() in {"", str(last - first + 1)}
        several = headers.get("Content-Type", "").lower().startswith("multipart/")
        same = self.pin is None or pin_of(headers, total) == self.pin
        return (first, stop, total) if exact and length and same and not several else None


def pin_of(headers: Mapping[str, str], total: int) -> Pin | None:
    """What the entity of this answer can be known by; None where it has neither a strong tag nor a date as good as one.

    A date is no good beside a weak tag (RFC 9110 section 13.1.5).
    """
    if "ETag" in headers:
        etag = strong_etag(headers["ETag"])
        return Pin(total=total, etag=etag) if etag is not None else None
    text = headers.get("Last-Modified", "").strip()
    modified, sent = http_date(text), http_date(headers.get("Date", ""))
    if modified is None or sent is None or sent - modified < _SETTLED:
        return None
    return Pin(total=total, modified=text)


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

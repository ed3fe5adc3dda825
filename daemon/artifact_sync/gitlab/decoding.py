"""JSON to values, tolerant of single values that are out of bounds, and of single entries that are not understood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from artifact_sync.errors import Refused, RemoteError, Transient
from artifact_sync.gitlab.answers import sign_in_refused
from artifact_sync.gitlab.excerpts import excerpt
from artifact_sync.gitlab.mending import with_moments, with_whole_characters
from artifact_sync.ports import TokenInfo

__all__ = ["ObjectDecoder", "PageDecoder", "TokenAnswer", "VersionAnswer"]

T = TypeVar("T")
_RAW = msgspec.json.Decoder(list[msgspec.Raw])


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /version."""

    version: str
    revision: str = ""


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /personal_access_tokens/self. The token ends with the beginning of the day ``expires_at``, in UTC."""

    name: str = ""
    scopes: tuple[str, ...] = ()
    active: bool = True
    expires_at: str | None = None

    def info(self) -> TokenInfo:
        """As the ports have it. A date that is none counts as none."""
        try:
            ends = datetime.fromisoformat(self.expires_at) if self.expires_at else None
        except ValueError:
            ends = None
        if ends is not None and ends.tzinfo is None:
            ends = ends.replace(tzinfo=UTC)
        return TokenInfo(name=self.name, scopes=self.scopes, active=self.active, expires_at=ends)


@dataclass(frozen=True, slots=True)
class ObjectDecoder(Generic[T]):
    """Decodes one object."""

    kind: type[T]

    def decode(self, body: bytes, *, asked: str) -> T:
        """Raises Refused for another shape, CredentialRefused for the sign-in page, Transient for broken JSON."""
        try:
            return msgspec.json.decode(body, type=self.kind)
        except (ValueError, RecursionError) as error:
            try:
                return msgspec.json.decode(with_moments(with_whole_characters(body)), type=self.kind)
            except (ValueError, RecursionError):
                # The first error tells of the answer as it came.
                raise _misshapen(body, error, asked=asked) from error


class PageDecoder(Generic[T]):
    """Decodes a page of a list: all at once, or entry by entry, mended where that helps, when one of them is not understood."""

    def __init__(self, kind: type[T]) -> None:
        self._all = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # kind is a value; msgspec needs the type it names
        self._one = msgspec.json.Decoder(kind)

    def decode(self, body: bytes, *, asked: str) -> tuple[tuple[T, ...], int]:
        """(entries, how many were not understood). Raises as ``ObjectDecoder.decode``."""
        try:
            return tuple(self._all.decode(body)), 0
        except (ValueError, RecursionError):
            # Which of them it was, and whether the rest is whole, shows below.
            pass
        try:
            entries = _RAW.decode(with_whole_characters(body))
        except (ValueError, RecursionError) as error:
            raise _misshapen(body, error, asked=asked) from error
        good: list[T] = []
        for entry in entries:
            try:
                good.append(self._understood(entry))
            except (ValueError, RecursionError):
                continue
        return tuple(good), len(entries) - len(good)

    def _understood(self, entry: msgspec.Raw) -> T:
        """Raises ValueError or RecursionError for an entry that mending does not help."""
        try:
            return self._one.decode(entry)
        except msgspec.ValidationError:
            return self._one.decode(with_moments(bytes(entry)))


def _misshapen(body: bytes, error: Exception, *, asked: str) -> RemoteError:
    start = body[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        if b"/users/sign_in" in body:
            return sign_in_refused(asked, status=200)
        hint = "Something else than GitLab's API answers at gitlab.url: check the address, and proxies on the way."
        return Refused(asked, "a web page in place of JSON", status=200, hint=hint)
    if isinstance(error, msgspec.ValidationError):
        hint = "The answer has a shape that this version does not know: check gitlab.url, or look for an update."
        return Refused(asked, f"JSON of another shape: {excerpt(str(error).encode())}", status=200, hint=hint)
    if start[:1] in {b"[", b"{", b""}:
        hint = "The answer was cut off or damaged on its way; it is asked for again."
        return Transient(asked, "broken JSON", status=200, hint=hint)
    hint = "Something else than GitLab's API answers at gitlab.url: check the address, and proxies on the way."
    return Refused(asked, "something that is no JSON", status=200, hint=hint)

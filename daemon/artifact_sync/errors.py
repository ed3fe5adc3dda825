"""Every error this program raises, classed by what the caller should do about it.

The root carries a ``hint`` (what a person can do) and an ``exit_code`` (what a program sees). Adapters let only
errors of this tree out; ``raise ... from`` keeps the cause. No error text ever holds a credential or the query of a
signed URL.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

__all__ = [
    "ArtifactSyncError",
    "ConfigError",
    "ContentError",
    "Corrupt",
    "CredentialRefused",
    "Denied",
    "DoesNotFit",
    "HookFailed",
    "NoSpace",
    "NotAnArchive",
    "NotFound",
    "NotMirrored",
    "Obstructed",
    "Outcome",
    "Refused",
    "RemoteError",
    "StateError",
    "StoreDamaged",
    "StoreError",
    "StoreLocked",
    "Throttled",
    "TooLarge",
    "Transient",
    "Unreachable",
    "Unsupported",
    "UsageError",
]


class Outcome(StrEnum):
    """The named end of a transfer's attempt. ``PUBLISHED`` is the only good one."""

    PUBLISHED = "published"
    RETRY_LATER = "retry later"
    CREDENTIAL = "credential"
    GONE = "gone"
    REFUSED = "refused"
    NOT_AN_ARCHIVE = "not an archive"
    CORRUPT = "corrupt"
    TOO_LARGE = "too large"
    NO_SPACE = "no space"
    OBSTRUCTED = "obstructed"
    DISABLED = "disabled here"

    @property
    def final(self) -> bool:
        """Whether trying the same transfer again unchanged is pointless."""
        return self in {Outcome.PUBLISHED, Outcome.GONE, Outcome.TOO_LARGE, Outcome.DISABLED}


class ArtifactSyncError(Exception):
    """The root. ``hint`` says what a person can do about it."""

    exit_code: ClassVar[int] = 1
    outcome: ClassVar[Outcome] = Outcome.RETRY_LATER

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ArtifactSyncError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(ArtifactSyncError):
    """The configuration is wrong; the message lists every problem, one a line."""

    exit_code = 2


class RemoteError(ArtifactSyncError):
    """GitLab, or what stands in its place, did not answer as asked.

    ``asked`` is the method and path without query, ``answer`` what came back (status and first words, or the network
    error), ``status`` the HTTP status where there was one.
    """

    def __init__(self, asked: str, answer: str, *, status: int | None = None, hint: str = "") -> None:
        super().__init__(f"{asked}: {answer}", hint=hint)
        self.asked = asked
        self.answer = answer
        self.status = status


class Transient(RemoteError):
    """Network trouble, a timeout, 408 or 5xx: the same request may succeed later.

    ``retry_after`` is what the server asked for, in seconds.
    """

    exit_code = 3

    def __init__(
        self,
        asked: str,
        answer: str,
        *,
        status: int | None = None,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(asked, answer, status=status, hint=hint)
        self.retry_after = retry_after


class Unreachable(Transient):
    """Nothing at this address speaks as it must: trying again at once will not change it, a person may."""


class Throttled(Transient):
    """429: the server's quota is used up."""


class CredentialRefused(RemoteError):
    """401, an insufficient scope, or the sign-in page: this token opens nothing until somebody changes it."""

    exit_code = 3
    outcome = Outcome.CREDENTIAL


class Denied(RemoteError):
    """403: the token is good, but not for this (one project, one job, a write during maintenance)."""

    outcome = Outcome.REFUSED


class NotFound(RemoteError):
    """404: removed, or invisible to this token. GitLab does not say which, so nothing is ever deleted because of it."""

    outcome = Outcome.GONE


class Refused(RemoteError):
    """Any other answer that repeating will not change: 4xx, a redirect that must not be followed, a wrong shape."""

    outcome = Outcome.REFUSED


class Unsupported(RemoteError):
    """This server does not have what was asked for, whatever is asked; another version of it may."""

    outcome = Outcome.DISABLED


class ContentError(ArtifactSyncError):
    """Bytes arrived, but not the bytes that were asked for."""

    outcome = Outcome.CORRUPT


class NotAnArchive(ContentError):
    """A login page, a JSON or XML error, or anything else that is not a zip archive."""

    outcome = Outcome.NOT_AN_ARCHIVE


class Corrupt(ContentError):
    """A size, CRC, checksum or archive structure does not agree."""


class TooLarge(ContentError):
    """More bytes than the rule's ``max_size`` allows. More than GitLab announced is Corrupt: that may pass."""

    outcome = Outcome.TOO_LARGE


class StoreError(ArtifactSyncError):
    """The store cannot do its work."""

    exit_code = 4


class StoreLocked(StoreError):
    """Another process works on this store."""


class StoreDamaged(StoreError):
    """The store's disk refuses to read or write (EIO, EROFS, a failed fsync), or the store is not there any more."""


class Obstructed(StoreError):
    """Something that is not the store's stands where one publication goes. The rest of the store is well."""

    outcome = Outcome.OBSTRUCTED


class NoSpace(StoreError):
    """ENOSPC or EDQUOT, or free space below ``store.min_free``."""

    outcome = Outcome.NO_SPACE


class DoesNotFit(NoSpace):
    """One transfer needs more than is free; smaller ones still find room."""


class NotMirrored(ArtifactSyncError):
    """What is asked for is not mirrored, or what is to be given up in GitLab has no verified copy here."""

    exit_code = 5


class HookFailed(ArtifactSyncError):
    """What a rule wants after a publication did not succeed.

    ``again``: whether another attempt may. ``retry_after`` is what a receiver asked for, in seconds.
    """

    def __init__(self, message: str, *, hint: str = "", again: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.again = again
        self.retry_after = retry_after


class StateError(ArtifactSyncError):
    """The state database is damaged, or was written by a newer version."""

    exit_code = 4

"""Who may read: tokens as GitLab's clients send them, compared in constant time, each with its projects."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address

import structlog
from aiohttp import web

from artifact_sync.core.model import Project
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.errors import CredentialRefused
from artifact_sync.ports.catalogue import MirroredProject
from artifact_sync.web.answers import ApiError, forbidden

__all__ = ["CREDENTIALS", "Grant", "Reader", "Readers", "digest_of", "presented"]

log = structlog.get_logger()

#: Parameters of a query that carry a credential: never repeated, in no answer and no log.
CREDENTIALS = frozenset({"private_token", "job_token", "access_token", "token"})
_HEADERS = ("PRIVATE-TOKEN", "JOB-TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One token that may read."""

    #: The token as it is now. Raises CredentialRefused.
    token: Callable[[], str] = field(repr=False)
    #: The projects that it opens; None: all.
    projects: ProjectSelectors | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What one request may see."""

    projects: tuple[ProjectSelectors, ...] | None = None

    @property
    def everything(self) -> bool:
        """Whether no project is kept from it."""
        return self.projects is None

    def sees(self, project: MirroredProject) -> bool:
        """Whether this project exists for it."""
        known = Project(id=project.id, path_with_namespace=project.path)
        return self.projects is None or any(selectors.matches(known) for selectors in self.projects)


class Readers:
    """Those who may read; nobody needs a token where there is none."""

    def __init__(self, readers: Sequence[Reader] = ()) -> None:
        self._readers = tuple(readers)

    def renew(self, readers: Sequence[Reader]) -> None:
        """Others from the next request on."""
        self._readers = tuple(readers)

    def grant(self, request: web.Request) -> Grant:
        """What the request may see. Raises ApiError: 401 without a good token, 403 for a foreign page in a browser."""
        if not self._readers:
            _require_local(request)
            return Grant()
        shown = presented(request)
        if shown is None:
            raise ApiError(401, {"message": "401 Unauthorized"})
        granted = self.opened_by(digest_of(shown))
        if granted is None:
            # lib/gitlab/auth/auth_finders.rb: a wrong token is an error of its own.
            why = "Token was revoked. You have to re-authorize from the user."
            raise ApiError(401, {"error": "invalid_token", "error_description": why})
        return granted

    @property
    def needed(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._readers)

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return len(self._readers)

    def opened_by(self, digest: bytes) -> Grant | None:
        """What the token with this digest may see; None where there is none, or none any more."""
        granted = [reader for reader in self._readers if hmac.compare_digest(digest, _digest(reader))]
        if not granted:
            return None
        scopes = [reader.projects for reader in granted]
        if any(scope is None for scope in scopes):
            return Grant()
        return Grant(tuple(scope for scope in scopes if scope is not None))


def digest_of(token: str) -> bytes:
    """What tokens are compared by: digests have one length, and texts that are no ASCII come as surrogates; neither may show."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def presented(request: web.Request) -> str | None:
    """The token that a request carries, wherever GitLab's clients put one; None without any."""
    for name in _HEADERS:
        if value := request.headers.get(name):
            return value
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return next((request.query[name] for name in sorted(CREDENTIALS) if request.query.get(name)), None)


def _digest(reader: Reader) -> bytes:
    try:
        return sha256(reader.token().encode()).digest()
    except CredentialRefused as error:
        log.warning("http.token_unreadable", error=str(error), hint=error.hint)
        # Of nothing that can be sent: no request is granted by it.
        return bytes(32)


def _require_local(request: web.Request) -> None:
    """Only names of this machine, where no token is asked for: a page of another site could have its own name lead here.

    DNS rebinding gives scripts of that page the answers; its name is in Host all the same (RFC 9110 section 7.2).
    """
    host = request.headers.get("Host", "localhost")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").rstrip(".").lower()
    try:
        local = ip_address(name).is_loopback
    except ValueError:
        local = name == "localhost" or name.endswith(".localhost")
    if not local:
        raise forbidden()

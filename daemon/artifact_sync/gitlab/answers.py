"""From a status to an error that says what to do: one pure function, for whoever answered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, RemoteError, Throttled, Transient
from artifact_sync.gitlab.excerpts import excerpt, json_object, store_code

__all__ = ["error_for", "sign_in_refused"]

#: Names of scopes as GitLab has them; anything else is not repeated, it may be the token.
_SCOPES = re.compile(r"[a-z_]{2,40}( [a-z_]{2,40}){0,20}")

_AGAIN = "It is tried again by itself; if it stays so, look at the server's status and logs."
_SIGN_IN = (
    "The sign-in page stands in front of the API: the token is not accepted here, gitlab.url is not GitLab's own address,"
    " or single sign-on must let API requests through."
)


def error_for(
    asked: str,
    status: int,
    body: bytes,
    *,
    retry_after: float | None = None,
    secrets: Iterable[str] = (),
    outside: bool = False,
) -> RemoteError:
    """The error for a status that is not what was asked for.

    ``body`` may be any beginning of the answer. ``outside``: not GitLab but the target of a redirect answered, so that
    401 and 403 tell about a signed URL and not about the token. An XML error is always the object store's own, even when
    GitLab passed it through (workhorse/internal/sendurl/sendurl.go copies the status and the body).
    """
    words = excerpt(body, secrets=secrets)
    phrase = _phrase(status)
    answer = f"{status} {phrase}" + (f": {words}" if words.strip() not in {"", phrase, f"{status} {phrase}"} else "")
    if status in {401, 403} and (outside or store_code(body)):
        hint = "The object store refused a signed URL, which lives for minutes; GitLab is asked for a new one."
        return Transient(asked, answer, status=status, hint=hint)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        hint = "The server's quota is used up; requests go on by themselves. Lower gitlab.requests.per_minute if it stays so."
        return Throttled(asked, answer, status=status, hint=hint, retry_after=retry_after)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(asked, answer, status=status, hint=_AGAIN, retry_after=retry_after)
    return _lasting(asked, answer, status, body, words)


def _lasting(asked: str, answer: str, status: int, body: bytes, words: str) -> RemoteError:
    """What repeating will not change."""
    if status == HTTPStatus.UNAUTHORIZED:
        hint = (
            "The token is missing, wrong, expired or revoked, or it may not be used for this call."
            " Make a new one and write it to the token's source; it is read again without a restart."
        )
        return CredentialRefused(asked, answer, status=status, hint=hint)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(asked, answer, body)
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(asked, answer, status=status, hint=_missing(asked, words))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        hint = "This GitLab does not allow that here: an older version, a moved project, or another way of paging."
        return Refused(asked, answer, status=status, hint=hint)
    return Refused(asked, answer, status=status, hint="Asking again will not help. The answer above says why.")


def sign_in_refused(asked: str, *, status: int | None = None) -> CredentialRefused:
    """The error for a redirect to the sign-in page, or the page itself."""
    return CredentialRefused(asked, "the sign-in page", status=status, hint=_SIGN_IN)


def _forbidden(asked: str, answer: str, body: bytes) -> RemoteError:
    told = json_object(body)
    if told.get("error") == "insufficient_scope":
        # RFC 6750 section 3.1; lib/api/api_guard.rb names the scopes that would do.
        scope = str(told.get("scope") or "")
        needed = " or ".join(scope.split()) if _SCOPES.fullmatch(scope) else "read_api; to keep artifacts: api"
        hint = f"The token's scopes do not allow this (needed: {needed}). Make one that has them, or set gitlab.keep_token."
        return CredentialRefused(asked, answer, status=403, hint=hint)
    hint = (
        "The token is good, but its user may not do this here: a role is missing, CI/CD is off in the project, or"
        " artifacts:access forbids it. A write is also refused so while the instance is in maintenance (read-only) mode."
    )
    return Denied(asked, answer, status=403, hint=hint)


def _missing(asked: str, words: str) -> str:
    """The hint alone depends on the words. GitLab does not tell what was removed from what is invisible."""
    if "/groups/" in asked:
        return (
            "There is no such group, or this token's user does not see it: check the path (also upper and lower case)."
        )
    if "Project Not Found" in words:
        return (
            "The project is gone, or this token's user does not see it (any more): check the path and its membership."
        )
    return "It is not there (any more): expired, erased or never made, or invisible to this token's user."


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(not a standard status)"

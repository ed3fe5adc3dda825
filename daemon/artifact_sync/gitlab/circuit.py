"""A refused credential is not shown again and again: GitLab blocks addresses that fail to authenticate too often."""

from __future__ import annotations

from artifact_sync.errors import CredentialRefused
from artifact_sync.gitlab.tokens import Token, TokenKind
from artifact_sync.ports import Clock

__all__ = ["Circuit"]

#: Seconds until one request tries a refused token again; it may have been refused by mistake.
_PROBE_AFTER = 300.0


class Circuit:
    """Open after a 401, until the token is another one, or one probe in five minutes was accepted.

    Only for tokens that every endpoint knows: a job token is refused by endpoints that do not take any
    (https://docs.gitlab.com/ci/jobs/ci_job_token/), and that says nothing about the token.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: tuple[Token, CredentialRefused, float] | None = None

    def check(self, token: Token) -> None:
        """Let a request with this token go out. Raises CredentialRefused as it was last refused."""
        if self._refused is None:
            return
        refused, error, since = self._refused
        if refused != token:
            self._refused = None
        elif self._clock.monotonic() - since < _PROBE_AFTER:
            raise CredentialRefused(error.asked, error.answer, status=error.status, hint=error.hint)
        else:
            # This request is the probe; those behind it wait for what comes of it.
            self._refused = refused, error, self._clock.monotonic()

    def refused(self, token: Token, error: CredentialRefused) -> None:
        """GitLab answered 401 to this token."""
        if token.kind in {TokenKind.PRIVATE, TokenKind.BEARER}:
            self._refused = token, error, self._clock.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether a token was refused, and none was accepted since."""
        return self._refused is not None

    def accepted(self, token: Token) -> None:
        """GitLab took this token."""
        if self._refused is not None and self._refused[0] == token:
            self._refused = None

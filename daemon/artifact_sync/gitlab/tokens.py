"""Credentials: where they are read from, and how they are shown to GitLab.

https://docs.gitlab.com/api/rest/authentication/ and https://docs.gitlab.com/ci/jobs/ci_job_token/
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from artifact_sync.errors import CredentialRefused

__all__ = ["CredentialToken", "EnvToken", "FileToken", "NoToken", "Token", "TokenKind", "TokenSource"]

#: Far above any token (a JWT of some KiB included); a whole other file named by mistake is not read.
_MOST = 64 << 10


class TokenKind(StrEnum):
    """Which header carries the token."""

    PRIVATE = "private"
    BEARER = "bearer"
    JOB = "job"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Token:
    """A credential. Its value is in no representation."""

    kind: TokenKind = TokenKind.NONE
    value: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """The header for GitLab's own origin, and for no other."""
        match self.kind:
            case TokenKind.PRIVATE:
                return {"PRIVATE-TOKEN": self.value}
            case TokenKind.BEARER:
                return {"Authorization": f"Bearer {self.value}"}
            case TokenKind.JOB:
                return {"JOB-TOKEN": self.value}
            case TokenKind.NONE:
                return {}


class NoToken:
    """Anonymous access, for what is public."""

    def current(self) -> Token:
        """The empty token."""
        return Token()


class FileToken:
    """A token in a file, read again when the file changes, so that it can be rotated without a restart."""

    def __init__(self, path: Path, kind: TokenKind = TokenKind.PRIVATE) -> None:
        self._path = path
        self._kind = TokenKind(kind)
        self._seen: tuple[int, int, int, int] | None = None
        self._token = Token()

    def current(self) -> Token:
        """The token as the file has it now. Raises CredentialRefused when it cannot be read, or holds none."""
        asked = f"token file {self._path}"
        try:
            status = self._path.stat()
            # All four: a rewrite within the clock's tick, and a rename of an equally old file, are changes, too.
            seen = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
            if seen != self._seen:
                text = _content(self._path)
                self._token = _token(text, self._kind, asked)
                self._seen = seen
        except OSError as error:
            hint = "Make the file readable for the user that this runs as; it is read again with the next request."
            if isinstance(error, FileNotFoundError):
                hint = "Create it, with the token alone in it; it is read again with the next request."
            raise CredentialRefused(asked, error.strerror or type(error).__name__, hint=hint) from error
        return self._token


def _content(path: Path) -> bytes:
    """Of a file. One that is a pipe has no end, and opening it no answer: everything would wait for it. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(_MOST + 1)


class EnvToken:
    """A token in an environment variable."""

    def __init__(
        self, name: str, kind: TokenKind = TokenKind.PRIVATE, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._kind = TokenKind(kind)
        self._environ = os.environ if environ is None else environ

    def current(self) -> Token:
        """The token. Raises CredentialRefused when the variable is not set, or holds none."""
        asked = f"environment variable {self._name}"
        text = self._environ.get(self._name)
        if text is None:
            raise CredentialRefused(asked, "not set", hint=f"Set {self._name}, or name another source of the token.")
        return _token(os.fsencode(text), self._kind, asked)


class CredentialToken:
    """A token that systemd passes with ``LoadCredential=`` (https://systemd.io/CREDENTIALS/)."""

    def __init__(
        self, name: str, kind: TokenKind = TokenKind.PRIVATE, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._kind = TokenKind(kind)
        self._environ = os.environ if environ is None else environ
        self._file: FileToken | None = None

    def current(self) -> Token:
        """The token. Raises CredentialRefused outside of such a unit, and as FileToken does."""
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            hint = f"Start it as a systemd unit with LoadCredential={self._name}:/path/of/the/token."
            raise CredentialRefused(f"credential {self._name}", "CREDENTIALS_DIRECTORY is not set", hint=hint)
        if self._file is None:
            self._file = FileToken(Path(folder) / self._name, self._kind)
        return self._file.current()


TokenSource = FileToken | EnvToken | CredentialToken | NoToken


def _token(text: bytes, kind: TokenKind, asked: str) -> Token:
    """The token in this text. A line end is stripped; what cannot be in a header is refused, and never shown."""
    if kind is TokenKind.NONE:
        return Token()
    value = text.decode("ascii", "replace").strip()
    if not value:
        raise CredentialRefused(asked, "holds no token", hint="Write the token into it, and nothing else.")
    if len(text) > _MOST or not all("!" <= letter <= "~" for letter in value):
        hint = "Write the token into it on a single line, and nothing else."
        raise CredentialRefused(asked, "holds something that is no token", hint=hint)
    return Token(kind, value)

"""Access tokens, and what each opens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["DEVELOPER", "GUEST", "MAINTAINER", "REPORTER", "TOKEN", "SimToken"]

#: The token of every world that is not told otherwise; it opens everything.
TOKEN = "glpat-simulated-token-of-no-worth"  # noqa: S105 -- opens a simulator

#: lib/gitlab/access.rb
GUEST, REPORTER, DEVELOPER, MAINTAINER = 10, 20, 30, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SimToken:
    """A token and its bearer.

    ``kind``: a personal access token (PRIVATE-TOKEN or Bearer), an OAuth token (Bearer alone) or a job token
    (JOB-TOKEN, good while job ``job_id`` runs). ``protected``: whether the bearer may write on protected refs.
    """

    value: str
    id: int = 1
    name: str = "mirror"
    kind: Literal["personal", "oauth", "job"] = "personal"
    scopes: tuple[str, ...] = ("api",)
    user: str = "mirror-bot"
    user_id: int = 1
    role: int = MAINTAINER
    protected: bool = True
    expires_at: datetime | None = None
    revoked: bool = False
    job_id: int | None = None

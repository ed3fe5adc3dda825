"""What the client is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artifact_sync.gitlab.tokens import TokenSource

__all__ = ["ClientOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """The instance, the credentials, and the manners."""

    #: ``https://host[:port][/path]``; tokens go to this origin and to no other.
    base_url: str
    token: TokenSource
    #: For ``keep`` alone; None: ``token``.
    keep_token: TokenSource | None = None
    #: PEM file with authorities that are trusted beside the system's.
    ca_file: Path | None = None
    proxy: str | None = None
    #: Requests, of which ``keep_share`` (0 to below 1) are for ``keep`` alone.
    per_minute: int = 600
    keep_share: float = 0.1
    concurrency: int = 16
    #: Seconds of silence that end a wait for bytes.
    timeout: float = 30.0
    #: Hosts that a download may be redirected to, exact or ``*.suffix``; none listed: any.
    redirect_hosts: tuple[str, ...] = ()
    #: How often a request is made at most while the trouble looks passing.
    attempts: int = 5

"""GitLab's REST API on aiohttp: polite, and careful with the credentials."""

from artifact_sync.gitlab.address import job_url_parts
from artifact_sync.gitlab.client import Client
from artifact_sync.gitlab.clock import ServerClock, SystemClock
from artifact_sync.gitlab.options import ClientOptions
from artifact_sync.gitlab.tokens import CredentialToken, EnvToken, FileToken, NoToken, TokenKind, TokenSource

__all__ = [
    "Client",
    "ClientOptions",
    "CredentialToken",
    "EnvToken",
    "FileToken",
    "NoToken",
    "ServerClock",
    "SystemClock",
    "TokenKind",
    "TokenSource",
    "job_url_parts",
]

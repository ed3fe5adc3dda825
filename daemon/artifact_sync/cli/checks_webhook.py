"""What `check` can tell of webhooks from GitLab: whether they are taken, by what they are known, and what to enter there."""

from __future__ import annotations

from artifact_sync import app
from artifact_sync.cli.finding import Finding
from artifact_sync.config import Settings
from artifact_sync.config.leaves import is_loopback
from artifact_sync.errors import ConfigError, CredentialRefused
from artifact_sync.gitlab.hook_proof import is_signing_key, require_usable
from artifact_sync.web.webhook import PATH

__all__ = ["look"]

_SUBJECT = "webhook"


def look(settings: Settings) -> Finding:
    """The one finding."""
    server = settings.server
    if server.webhook_secret is None:
        return Finding.ok(
            _SUBJECT, "off: what happens in GitLab is found by polling (server.webhook_secret is not set)"
        )
    try:
        secret = app.secret_source(server.webhook_secret).current().value
        require_usable(secret)
    except (ConfigError, CredentialRefused) as error:
        return Finding.fail(_SUBJECT, error)
    if server.listen is None:
        cure = "Write server.listen, or remove server.webhook_secret."
        return Finding.warn(_SUBJECT, "off: server.listen is null, so that nothing is received", cure)
    known = "Signing token" if is_signing_key(secret) else "Secret token"
    url = f"http://{server.listen}{PATH}"
    if is_loopback(server.listen.rpartition(":")[0].strip("[]")):
        url += ", or the address of the proxy in front of it,"
    return Finding.ok(_SUBJECT, f"on: enter in GitLab as URL {url} and server.webhook_secret as {known}")

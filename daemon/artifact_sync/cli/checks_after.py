"""What `check` can tell of hooks without running any: whether the programs are there, and what webhooks are signed with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from artifact_sync import app
from artifact_sync.after import signing_key
from artifact_sync.cli.finding import Finding
from artifact_sync.config import Settings
from artifact_sync.errors import CredentialRefused, HookFailed

__all__ = ["look"]


def look(settings: Settings) -> Iterator[Finding]:
    """A finding for each command, and one for the secret where there are webhooks."""
    for rule in settings.rules:
        if rule.after.command is not None:
            yield _program(f"command of rule {rule.name}", rule.after.command[0])
    if any(rule.after.webhook is not None for rule in settings.rules):
        yield _secret(settings)


def _program(subject: str, program: str) -> Finding:
    found = shutil.which(program)
    if found is None:
        hint = "Name a program that is there and executable for this user, by its absolute path or one in PATH."
        return Finding.fail(subject, HookFailed(f"{program} is not there, or cannot be executed", hint=hint))
    return Finding.ok(subject, found)


def _secret(settings: Settings) -> Finding:
    subject = "signatures"
    if settings.hooks.secret is None:
        cure = "Write hooks.secret: {file: ...} if a receiver is to know that a webhook comes from here."
        return Finding.warn(subject, "webhooks are not signed", cure)
    try:
        signing_key(app.secret_source(settings.hooks.secret).current().value)
    except (CredentialRefused, HookFailed) as error:
        return Finding.fail(subject, error)
    return Finding.ok(subject, "webhooks are signed with hooks.secret")

"""What `check` can tell without GitLab: where the token comes from, the store's disk, its lock, and the state's place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from artifact_sync import app
from artifact_sync.belonging import lost_state
from artifact_sync.cli import checks_after, checks_server, checks_webhook
from artifact_sync.cli.finding import Finding
from artifact_sync.cli.holder import holder
from artifact_sync.cli.words import size
from artifact_sync.config import Settings, Token
from artifact_sync.errors import CredentialRefused, NoSpace, StateError, StoreError
from artifact_sync.store import Access
from artifact_sync.store.layout import LOCK

__all__ = ["TOKEN", "look"]

#: The subject of what is found about the source of gitlab.token.
TOKEN = "token source"  # noqa: S105 - a heading


def look(settings: Settings) -> Iterator[Finding]:
    """The findings about the tokens' sources, the store and the state. Nothing is written, no folder is made."""
    yield _source(TOKEN, settings.gitlab.token)
    if settings.gitlab.keep_token is not None:
        yield _source("keep token source", settings.gitlab.keep_token)
    yield _folder(settings)
    if settings.store.mode is not None or settings.store.group is not None:
        yield _readers(settings)
    yield _space(settings)
    yield _lock(settings.store_path / LOCK)
    yield _state(settings)
    yield from checks_after.look(settings)
    yield checks_server.look(settings)
    yield checks_webhook.look(settings)


def _source(subject: str, token: Token) -> Finding:
    """Whether a token is there; what it is good for, only GitLab can say."""
    if token.kind == "none":
        return Finding.ok(subject, "none is asked for (kind: none)")
    try:
        app.token_source(token).current()
    except CredentialRefused as error:
        return Finding.fail(subject, error)
    if token.file is not None:
        return Finding.ok(subject, f"file {token.file}")
    if token.credential is not None:
        return Finding.ok(subject, f"systemd credential {token.credential}")
    return Finding.ok(subject, f"variable {token.env or 'GITLAB_TOKEN'}")


def _folder(settings: Settings) -> Finding:
    path = settings.store_path
    there = _existing(path)
    if path.exists() and not path.is_dir():
        return Finding.fail("store", StoreError(f"{path} is a file, not a folder", hint="Name another store.path."))
    if not os.access(there, os.W_OK | os.X_OK):
        hint = "Give this user the right to write there, or name another store.path."
        return Finding.fail("store", StoreError(f"{there} cannot be written by this user", hint=hint))
    return Finding.ok("store", f"{path}{'' if path.exists() else ', will be made'}")


def _readers(settings: Settings) -> Finding:
    """Whether the chosen permissions can be given, tried on a file that is nowhere."""
    subject = "permissions"
    try:
        access = Access.of(settings.store.mode, settings.store.group)
        with os.fdopen(os.memfd_create("permissions"), "wb") as probe:
            access.require_granted(probe.fileno())
    except StoreError as error:
        return Finding.fail(subject, error)
    words = [f"group {access.group}"] if access.group else []
    if access.mode is not None and access.folder is not None:
        words += [f"files {access.mode:04o}", f"folders {access.folder:04o}"]
    return Finding.ok(subject, f"new publications get {', '.join(words)}")


def _space(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.store_path)).free
    least = settings.store.min_free
    text = f"{size(free)} free, store.min_free is {size(least)}"
    if free < least:
        return Finding.fail(
            "disk", NoSpace(text, hint="Downloads wait until there is more: free some, or lower store.min_free.")
        )
    return Finding.ok("disk", text)


def _lock(path: Path) -> Finding:
    try:
        who = holder(path)
    except StoreError as error:
        return Finding.fail("lock", error)
    if who is None:
        return Finding.ok("lock", "free: no process works on this store")
    return Finding.ok("lock", f"held by {who}; a `sync` at the same time would be refused")


def _state(settings: Settings) -> Finding:
    path = settings.state_path
    there = _existing(path.parent)
    if not os.access(there, os.W_OK | os.X_OK):
        hint = "Give this user the right to write there, or name another state.path."
        return Finding.fail("state", StateError(f"{there} cannot be written by this user", hint=hint))
    if (lost := lost_state(settings)) is not None:
        return Finding.fail("state", lost)
    return Finding.ok("state", f"{path}{'' if path.exists() else ', will be made'}")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())

"""What `check` can tell of the HTTP server: whether a daemon could listen where it is to."""

from __future__ import annotations

import errno
import socket

from artifact_sync.cli.finding import Finding
from artifact_sync.cli.holder import Worker, holder
from artifact_sync.config import Settings
from artifact_sync.errors import ConfigError, StoreError
from artifact_sync.store.layout import LOCK

__all__ = ["look"]

_SUBJECT = "server"


def look(settings: Settings) -> Finding:
    """The one finding. The address is bound for a moment and not listened on, so that nobody can reach it meanwhile."""
    listen = settings.server.listen
    if listen is None:
        return Finding.ok(_SUBJECT, "off: server.listen is null")
    host, _, port = listen.rpartition(":")
    try:
        _bind(host.strip("[]"), int(port))
    except OSError as error:
        return _refused(settings, listen, error)
    return Finding.ok(_SUBJECT, f"{listen} can be listened on")


def _bind(host: str, port: int) -> None:
    """At every address of the name, as the server does. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            # What a daemon that has just ended left behind is in nobody's way: asyncio's servers say so, too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)


def _refused(settings: Settings, listen: str, error: OSError) -> Finding:
    daemon = _daemon(settings) if error.errno == errno.EADDRINUSE else None
    if daemon is not None:
        return Finding.ok(_SUBJECT, f"{listen} is taken while this store's daemon runs ({daemon.name})")
    what = f"{listen} cannot be listened on: {error.strerror or error}"
    if "listen" in settings.server.model_fields_set:
        return Finding.fail(
            _SUBJECT, ConfigError(what, hint="Write an address of this machine with a port that is free.")
        )
    return Finding.warn(
        _SUBJECT, f"{what}; a daemon would run without HTTP", "Write server.listen with a port that is free, or null."
    )


def _daemon(settings: Settings) -> Worker | None:
    """Of this store; None where none runs, as far as that can be seen."""
    try:
        who = holder(settings.store_path / LOCK)
    except StoreError:
        return None
    return who if who is not None and who.daemon else None

"""What systemd is told of this process, and what it asks of it: sd_notify(3), by the protocol that it describes.

Datagrams of ``NAME=value`` lines to the socket in NOTIFY_SOCKET; without one, nobody is told anything.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

import structlog

__all__ = ["ServiceManager"]

log = structlog.get_logger()

#: Seconds that a datagram may wait for room in the manager's queue.
_PATIENCE = 1.0
#: Characters of a status: it is one line of `systemctl status`.
_SHOWN = 1000


class ServiceManager:
    """The one that started this process, if it wants to be told."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Takes its variables out of the environment, so that no child takes itself for the service."""
        environ = os.environ if environ is None else environ
        address = environ.pop("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ (sd_notify(3)); of other families, such as vsock, nothing is known here.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        self._watchdog = _seconds(environ.pop("WATCHDOG_USEC", ""))
        if environ.pop("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            self._watchdog = None
        self._status = ""

    @property
    def listens(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    @property
    def watchdog(self) -> float | None:
        """Seconds after which a silent process is killed; None where nobody watches."""
        return self._watchdog if self._address else None

    def ready(self) -> None:
        """What was asked for is in effect."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; ``ready`` tells the end of it (sd_notify(3), MONOTONIC_USEC)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def extend(self, seconds: float) -> None:
        """The start goes on, and takes no longer than so many seconds until it says so again."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def alive(self) -> None:
        """It is not to be killed yet."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows; the same again is not sent."""
        line = " ".join(text.split())
        line = line if len(line) <= _SHOWN else f"{line[:_SHOWN]} ..."
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(_PATIENCE)
                channel.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            # The mirror goes on; a manager that is not told draws its own conclusions.
            log.warning("service_manager.unreachable", error=error.strerror or type(error).__name__)


def _seconds(microseconds: str) -> float | None:
    if not (microseconds.isascii() and microseconds.isdecimal()) or not int(microseconds):
        return None
    return int(microseconds) / 1_000_000

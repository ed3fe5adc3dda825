"""``python -m artifact_sync.healthcheck``: whether the daemon in this container answers. Exit code 0 or 1.

It finds the daemon by what listens, so it needs no configuration and holds for any address. Where nothing listens there is
nothing to ask: a pass, a daemon without HTTP (``server.listen: null``) and one that still starts are healthy as long as they
run, and a container ends with them. It asks ``/livez``: a container is started anew for being unhealthy, which does not
bring back a GitLab that cannot be reached (``/readyz``). It runs every few seconds, hence the standard library alone.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NoReturn

__all__ = ["answers", "listening", "main", "trouble"]

#: TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp writes it (proc(5)).
_LISTEN = "0A"
_SOCKET = "socket:["
_PROC = Path("/proc")
#: Seconds. The image gives the whole check twice as many.
_PATIENCE = 5.0


def main() -> NoReturn:
    """The process ends with 1, and says why, where there is trouble."""
    sys.exit(trouble() or 0)


def trouble(proc: Path = _PROC, *, within: float = _PATIENCE) -> str:
    """What is wrong: something listens, and nothing answers in so many seconds. Empty where all is well."""
    places = list(listening(proc))
    # A command of after.command may listen, too, and knows nothing of /livez.
    if not places or any(answers(host, port, within=within) for host, port in places):
        return ""
    return f"/livez is not answered: {', '.join(f'{host} port {port}' for host, port in places)}"


def answers(host: str, port: int, *, within: float = _PATIENCE) -> bool:
    """Whether ``/livez`` is answered with 200 in so many seconds."""
    connection = http.client.HTTPConnection(host, port, timeout=within)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listening(proc: Path = _PROC) -> Iterator[tuple[str, int]]:
    """Where this user's processes, as far as they are seen from here, listen: addresses to reach them at."""
    inodes = _sockets(proc)
    for table, width in (("tcp", 8), ("tcp6", 32)):
        with suppress(FileNotFoundError), (proc / "net" / table).open(encoding="ascii") as lines:
            next(lines)
            for fields in map(str.split, lines):
                if fields[3] == _LISTEN and fields[9] in inodes:
                    written, _, port = fields[1].partition(":")
                    yield _reachable(written, width), int(port, 16)


def _sockets(proc: Path) -> set[str]:
    """Inodes of the sockets that processes hold. Those of other users are not shown (ptrace(2), PTRACE_MODE_READ)."""
    found = set()
    for folder in proc.glob("[0-9]*/fd"):
        with suppress(OSError):
            for descriptor in folder.iterdir():
                with suppress(OSError):
                    target = str(descriptor.readlink())
                    if target.startswith(_SOCKET):
                        found.add(target[len(_SOCKET) : -1])
    return found


def _reachable(written: str, width: int) -> str:
    """An address of /proc/net/tcp, which are words of 32 bits in the machine's order; a wildcard is reached at loopback."""
    words = (written[start : start + 8] for start in range(0, width, 8))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    address = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)  # noqa: PLR2004 - bytes of an IPv4 address
    if address.is_unspecified:
        return "127.0.0.1" if isinstance(address, IPv4Address) else "::1"
    return str(address)


if __name__ == "__main__":
    main()

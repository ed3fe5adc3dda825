"""What a service manager is told, by a real socket; `test_service.py` has the whole daemon tell it."""

import os
import socket

import pytest

from artifact_sync.cli.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path):
    """A socket that listens at a path, and what has come through it so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
        channel.bind(str(tmp_path / "notify"))
        yield channel, str(tmp_path / "notify")


def came(channel: socket.socket) -> list[str]:
    """Every datagram that waits."""
    found = []
    while True:
        try:
            found.append(channel.recv(1 << 16).decode())
        except BlockingIOError:
            return found


def test_each_word_is_one_datagram(manager):
    """As sd_notify(3) has it; the moment of a reload is that of the clock that the manager compares it with."""
    channel, address = manager
    service = ServiceManager({"NOTIFY_SOCKET": address})
    service.extend(90.5)
    service.ready()
    service.reloading()
    service.alive()
    service.stopping()
    extended, ready, reloading, alive, stopping = came(channel)
    assert (extended, ready, alive, stopping) == ("EXTEND_TIMEOUT_USEC=90500000", "READY=1", "WATCHDOG=1", "STOPPING=1")
    first, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert moment.isdecimal()


def test_a_status_is_one_line_and_told_once(manager):
    """A line end would begin another variable."""
    channel, address = manager
    service = ServiceManager({"NOTIFY_SOCKET": address})
    service.status("mirrors\nREADY=1\n  it")
    service.status("mirrors READY=1 it")
    service.status("x" * 5000)
    first, second = came(channel)
    assert first == "STATUS=mirrors READY=1 it"
    assert len(second) < 1100


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time_is_this_processs(manager, environment, watchdog):
    """sd_watchdog_enabled(3). All of it is taken out of the environment: no child takes itself for the service."""
    environ = {"NOTIFY_SOCKET": manager[1], "PATH": "/bin", **environment}
    service = ServiceManager(environ)
    assert service.watchdog == watchdog
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_nobody_is_told_anything_without_a_socket_that_is_known(address):
    """Neither is there a watchdog."""
    service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    assert (service.listens, service.watchdog) == (False, None)
    service.ready()

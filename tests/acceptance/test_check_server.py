"""`check` tries whether a daemon could listen where it is to."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.harness import artifact_sync, configuration, simulated_gitlab, started, wait_for


@pytest.fixture
def taken() -> Iterator[str]:
    """An address where something else listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def checked(folder: Path) -> dict[str, object]:
    """What is found about the server, and the whole exit code."""
    ran = artifact_sync("check", "--offline", "--json", cwd=folder)
    (found,) = [each for each in json.loads(ran.out)["findings"] if each["subject"] == "server"]
    return {**found, "code": ran.code}


def test_a_port_that_something_else_has(tmp_path: Path, taken: str):
    """A daemon would end with 2 there, and so does the check, with the cure; once it is free all is well."""
    path = configuration(tmp_path, "https://gitlab.example.com", more=f"server: {{listen: '{taken}'}}\n")
    found = checked(tmp_path)
    assert (found["level"], found["code"]) == ("fail", 2)
    assert str(found["text"]).startswith(f"{taken} cannot be listened on: Address already in use")
    assert "port that is free" in str(found["cure"])
    path.write_text(path.read_text().replace(taken, "127.0.0.1:0"))
    assert (checked(tmp_path)["level"], checked(tmp_path)["code"]) == ("ok", 0)


@pytest.mark.parametrize("listen", ["192.0.2.1:8700", "[2001:db8::1]:8700"])
def test_an_address_of_another_machine(tmp_path: Path, listen: str):
    """Nobody can listen there (RFC 5737, RFC 3849: addresses for documentation)."""
    more = f"server: {{listen: '{listen}', tokens: [{{env: READERS}}]}}\n"
    configuration(tmp_path, "https://gitlab.example.com", more=more)
    found = checked(tmp_path)
    assert (found["level"], found["code"]) == ("fail", 2)
    assert f"{listen} cannot be listened on" in str(found["text"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen anywhere")
def test_a_port_that_is_for_root(tmp_path: Path):
    """The right is missing, and said to be."""
    configuration(tmp_path, "https://gitlab.example.com", more="server: {listen: '127.0.0.1:80'}\n")
    assert "cannot be listened on: " in str(checked(tmp_path)["text"])


def test_its_own_daemon_is_no_fault(tmp_path: Path):
    """A port that this configuration's daemon has is as it should be; without the daemon it is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with simulated_gitlab("jobs:1") as gitlab:
        configuration(tmp_path, gitlab.url, more=f"server: {{listen: '127.0.0.1:{port}'}}\n")
        with started("run", cwd=tmp_path) as daemon:
            wait_for(daemon, "transfer.published")
            found = checked(tmp_path)
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=20)
    assert (found["level"], found["code"]) == ("ok", 0)
    assert f"process {daemon.pid}" in str(found["text"])
    assert checked(tmp_path)["text"] == f"127.0.0.1:{port} can be listened on"


def test_the_usual_port_where_none_is_written(tmp_path: Path):
    """A daemon would go on without HTTP: a warning, with what to write."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Where another program of this machine has it for long, it is taken as well.
        for _ in range(100):
            with suppress(OSError):
                listener.bind(("127.0.0.1", 8700))
                listener.listen()
                break
            time.sleep(0.1)
        configuration(tmp_path, "https://gitlab.example.com")
        found = checked(tmp_path)
    assert (found["level"], found["code"]) == ("warn", 0)
    assert "a daemon would run without HTTP" in str(found["text"])
    assert "server.listen" in str(found["cure"])


def test_no_http_is_said(tmp_path: Path):
    """null listens nowhere."""
    configuration(tmp_path, "https://gitlab.example.com", more="server: {listen: null}\n")
    assert checked(tmp_path) == {"level": "ok", "subject": "server", "text": "off: server.listen is null", "code": 0}

"""`artifact-sync run` serves what it mirrors: the installed command, and clients of another process."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness import Simulated, artifact_sync, configuration, simulated_gitlab, started, wait_for

READER = "reader-token-0123456789"


@pytest.fixture
def gitlab() -> Iterator[Simulated]:
    """With a project of some jobs."""
    with simulated_gitlab("demo") as served:
        yield served


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def got(url: str, token: str | None = None) -> tuple[int, bytes]:
    """Status and body; 0 where nobody answers."""
    headers = {"PRIVATE-TOKEN": token} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def listed(api: str) -> list[dict[str, Any]]:
    """Jobs with an archive, once there are some."""
    for _ in range(300):
        status, body = got(f"{api}/projects", READER)
        for project in json.loads(body) if status == 200 else ():
            jobs = json.loads(got(f"{api}/projects/{project['id']}/jobs?per_page=100", READER)[1])
            if found := [dict(job, project_id=project["id"]) for job in jobs if "artifacts_file" in job]:
                return found
        time.sleep(0.1)
    raise AssertionError("nothing was mirrored")


def test_the_daemon_serves_what_it_mirrors_to_who_has_the_token(gitlab: Simulated, tmp_path: Path):
    """By the address of the configuration, with a token of a file, from the same process; SIGTERM ends both well."""
    (tmp_path / "readers").write_text(f"{READER}\n")
    port = free_port()
    server = f"server: {{listen: '127.0.0.1:{port}', tokens: [{{file: readers}}]}}\n"
    configuration(tmp_path, gitlab.url, projects=f"[{gitlab.project}]", more=server)
    api = f"http://127.0.0.1:{port}/api/v4"
    with started("run", cwd=tmp_path) as daemon:
        wait_for(daemon, "http.listening")
        job = listed(api)[0]
        status, body = got(f"{api}/projects/{job['project_id']}/jobs/{job['id']}/artifacts", READER)
        assert (status, sha256(body).hexdigest()) == (200, gitlab.ask("expected")[str(job["id"])]["sha256"])
        assert got(f"{api}/projects")[0] == 401
        assert got(f"http://127.0.0.1:{port}/livez") == (200, b"ok\n")
        assert got(f"http://127.0.0.1:{port}/readyz") == (200, b"ok\n")
        (tmp_path / "readers").write_text("another-token-0123456789\n")
        assert got(f"{api}/projects", READER)[0] == 401
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=20)
        assert daemon.returncode == 0
    assert READER not in out


def test_an_address_that_is_written_and_taken_ends_the_start(gitlab: Simulated, tmp_path: Path):
    """2, and the message names key and address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        configuration(tmp_path, gitlab.url, more=f"server: {{listen: '{listen}'}}\n")
        ran = artifact_sync("run", cwd=tmp_path)
    assert ran.code == 2
    assert f"server.listen: {listen} cannot be listened on" in ran.err


def test_no_http_where_that_is_written(gitlab: Simulated, tmp_path: Path):
    """null listens nowhere."""
    configuration(tmp_path, gitlab.url, more="server: {listen: null}\n")
    with started("run", "--verbose", cwd=tmp_path) as daemon:
        seen = wait_for(daemon, "daemon.started")
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=20)
    assert "http." not in f"{seen}{out}"


def test_everybody_beyond_this_machine_is_refused_with_the_place(tmp_path: Path):
    """Before anything starts: file, line and what to write."""
    configuration(tmp_path, "https://gitlab.example.com", more="server:\n  listen: 0.0.0.0:8700\n")
    ran = artifact_sync("check", "--offline", cwd=tmp_path)
    assert ran.code == 2
    assert "artifact-sync.yaml:7:11: server.listen: " in ran.out
    assert "anybody may read" in ran.out

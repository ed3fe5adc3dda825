"""The simulator as a process of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A running simulator and what it said when it was ready."""
    command = [sys.executable, "-W", "error", "-m", "artifact_sync.simulator", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield started, json.loads(started.stdout.readline())
        finally:
            started.kill()


def get(url: str, token: str = "") -> requests.Response:
    return requests.get(url, headers={"PRIVATE-TOKEN": token} if token else {}, timeout=20)


def test_it_says_when_it_is_ready_and_what_is_expected(tmp_path):
    """One JSON line, the same in the ready file; the two routes that are not GitLab's need no token."""
    ready_file = tmp_path / "ready"
    options = ("--world", "jobs:5", "--delivery", "redirect", "--token", "glpat-own", "--ready-file", str(ready_file))
    with process(*options) as (_, ready):
        assert json.loads(ready_file.read_text()) == ready
        expected = get(f"{ready['url']}/-/simulator/expected").json()
        assert len(expected) == 5
        job, facts = next(iter(expected.items()))
        archive = get(f"{ready['url']}/api/v4/projects/1/jobs/{job}/artifacts", "glpat-own")
        assert (len(archive.content), facts["present"]) == (facts["size"], True)
        seen = get(f"{ready['url']}/-/simulator/requests").json()
        assert [(row["origin"], row["status"]) for row in seen] == [("gitlab", 302), ("storage", 200)]


def test_it_ends_on_sigterm():
    """With 0 and without a word of complaint, also in the middle of a living world."""
    with process("--world", "demo", "--narrate") as (started, ready):
        assert ready["token"]
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=20) == 0
        assert started.stderr is not None
        assert started.stderr.read() == ""


def test_twenty_thousand_jobs_are_listed(tmp_path):
    """To the last one, by keyset."""
    with process("--world", "listed:20000") as (_, ready), requests.Session() as session:
        session.headers["PRIVATE-TOKEN"] = ready["token"]
        url: str | None = f"{ready['url']}/api/v4/projects/1/jobs?pagination=keyset&per_page=100"
        ids: list[int] = []
        while url:
            answer = session.get(url, timeout=20)
            ids += [job["id"] for job in answer.json()]
            url = answer.links.get("next", {}).get("url")
        assert len(ids) == 20_000
        assert ids == sorted(ids, reverse=True)


def test_an_unknown_world_is_a_usage_error():
    """2, and what there is."""
    done = subprocess.run(
        [sys.executable, "-m", "artifact_sync.simulator", "--world", "moon"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "jobs:N" in done.stderr

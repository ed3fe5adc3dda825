"""The simulator behind a proxy, with another server as its object store."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from artifact_sync.simulator.worlds import by_name

GITLAB, STORE = "https://gitlab.example.com:8443", "https://store.example.com"


@contextmanager
def behind(world: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A running simulator that has laid its archives out in a folder."""
    addresses = ["--external-url", GITLAB, "--storage-url", STORE, "--storage-folder", str(folder)]
    command = [sys.executable, "-m", "artifact_sync.simulator", "--world", world, "--delivery", "redirect", *addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield json.loads(started.stdout.readline())
        finally:
            started.kill()


def ask(ready: dict[str, Any], path: str, **headers: str) -> requests.Response:
    headers = {"PRIVATE-TOKEN": ready["token"]} | {name.replace("_", "-"): text for name, text in headers.items()}
    return requests.get(f"{ready['url']}{path}", headers=headers, allow_redirects=False, timeout=20)


@pytest.mark.parametrize("world", ["jobs:3", "big:9MiB"])
def test_redirects_lead_to_the_files_that_were_laid_out(tmp_path, world):
    """At the other server's address, with archives from memory and from disk."""
    with behind(world, tmp_path) as ready:
        expected = ask(ready, "/-/simulator/expected").json()
        for job, facts in expected.items():
            answer = ask(ready, f"/api/v4/projects/1/jobs/{job}/artifacts")
            where = urlsplit(answer.headers["Location"])
            content = (tmp_path / where.path.lstrip("/")).read_bytes()
            assert f"{where.scheme}://{where.netloc}" == STORE
            assert hashlib.sha256(content).hexdigest() == facts["sha256"]
        assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == len(expected)


def test_links_name_the_scheme_that_the_proxy_was_asked_with(tmp_path):
    """Otherwise the next page of an https GitLab would be asked for by http."""
    with behind("jobs:3", tmp_path) as ready:
        path = "/api/v4/projects/1/jobs?per_page=1"
        there = ask(ready, path, X_Forwarded_Proto="https")
        assert there.links["next"]["url"].startswith(f"{GITLAB}/api/v4/projects/1/jobs?")
        assert ask(ready, path).links["next"]["url"].startswith("http://gitlab.example.com:8443/")


def test_a_world_with_an_archive_of_many_files():
    """Ten to a folder, stored, and of the same length."""
    world, _ = by_name("files:25:50KiB")
    (job,) = world.jobs.values()
    content = job.archive
    assert content is not None
    assert content.data is not None
    with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        names = archive.namelist()
        assert (names[0], names[12], names[-1], len(names)) == (
            "part-000/0.bin",
            "part-001/2.bin",
            "part-002/4.bin",
            25,
        )
        assert {(info.file_size, info.compress_type) for info in archive.infolist()} == {(2048, zipfile.ZIP_STORED)}
        assert len({archive.read(name) for name in names}) == 25

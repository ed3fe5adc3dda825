"""`artifact-sync sync` as a process against a GitLab as a process: complete, byte-identical, and no secret anywhere."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.harness import (
    TOKEN,
    archives,
    artifact_sync,
    checksums_hold,
    configuration,
    on_a_terminal,
    simulated_gitlab,
    started,
    strays,
    wait_for,
)


def quick(url: str, *more: str) -> list[str]:
    """A sync without a configuration."""
    return ["sync", "--url", url, "--project", "acme/app", "--into", "mirror", *more]


@pytest.mark.parametrize("delivery", ["local", "redirect", "proxied"])
def test_byte_identical_in_each_delivery_mode(tmp_path, delivery):
    """Every archive arrives byte for byte, `sha256sum -c` agrees, and a second pass downloads nothing."""
    with simulated_gitlab("jobs:24:20000", "--delivery", delivery) as gitlab:
        ran = artifact_sync(*quick(gitlab.url, "--strict"), cwd=tmp_path)
        assert (ran.code, ran.err) == (0, "")
        assert archives(tmp_path / "mirror") == {
            int(job): entry["sha256"] for job, entry in gitlab.ask("expected").items()
        }
        before = len([seen for seen in gitlab.ask("requests") if seen["path"].endswith("/artifacts")])
        assert artifact_sync(*quick(gitlab.url, "--strict"), cwd=tmp_path).code == 0
        after = len([seen for seen in gitlab.ask("requests") if seen["path"].endswith("/artifacts")])
    assert checksums_hold(tmp_path / "mirror" / "tree") == 24
    assert before == after == 24
    assert strays(tmp_path / "mirror") == []


def test_no_secret_leaves(tmp_path):
    """In the redirected mode the object store sees no credential, and the token is nowhere on disk and in no output."""
    with simulated_gitlab("jobs:6", "--delivery", "redirect") as gitlab:
        told = artifact_sync(*quick(gitlab.url, "--verbose"), cwd=tmp_path)
        as_json = artifact_sync(*quick(gitlab.url, "--json"), cwd=tmp_path)
        seen = gitlab.ask("requests")
    stored = [request for request in seen if request["origin"] == "storage"]
    assert len(stored) == 6
    for request in stored:
        names = {name.lower() for name in request["headers"]}
        assert not names & {"private-token", "authorization", "job-token", "cookie"}
        assert TOKEN not in json.dumps(request)
    assert any(TOKEN in json.dumps(request["headers"]) for request in seen if request["origin"] == "gitlab")
    assert TOKEN not in told.out + told.err + as_json.out + as_json.err
    found = subprocess.run(["grep", "-rl", TOKEN, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    # Neither is a signed URL's query.
    signed = subprocess.run(
        ["grep", "-rl", "Signature=", "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (signed.returncode, signed.stdout) == (1, "")


def test_json_lines(tmp_path):
    """With --json each line is an object with its event's name, and the publications are told."""
    with simulated_gitlab("jobs:3") as gitlab:
        ran = artifact_sync(*quick(gitlab.url, "--json"), cwd=tmp_path)
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [entry["outcome"] for entry in told if entry["event"] == "transfer_ended"] == ["published"] * 3
    assert told[-1]["event"] == "summary"


def test_plain_lines_have_no_noise(tmp_path):
    """Without a terminal there is a line for each happening, and no control character in any."""
    with simulated_gitlab("jobs:3:3000000") as gitlab:
        ran = artifact_sync(*quick(gitlab.url), cwd=tmp_path)
    assert len(re.findall(r"mirrored  acme/app main", ran.out)) == 3
    assert "\x1b" not in ran.out
    assert "\r" not in ran.out
    assert len(ran.out.splitlines()) < 15


def test_bars_on_a_terminal(tmp_path):
    """On a terminal there are bars with a total, redrawn in place."""
    with simulated_gitlab("jobs:3:3000000") as gitlab:
        code, out = on_a_terminal(*quick(gitlab.url), cwd=tmp_path)
    assert code == 0
    assert "\x1b[" in out
    assert "of 3 mirrored" in out


def test_what_cannot_be_mirrored_is_1_or_strictly_5(tmp_path):
    """A file that the archive does not have: recorded, 1, and 5 where everything is asked for."""
    with simulated_gitlab("jobs:1") as gitlab:
        path = configuration(tmp_path, gitlab.url, more="    fetch: {archive: false, files: [no/such/file]}\n")
        path.write_text(
            path.read_text().replace("  - {name: all, projects: [acme/app]}", "  - name: all\n    projects: [acme/app]")
        )
        first = artifact_sync("sync", cwd=tmp_path)
        second = artifact_sync("sync", "--strict", cwd=tmp_path)
    assert (first.code, second.code) == (1, 5)
    assert "failed" in first.out


def test_two_on_one_store(tmp_path):
    """The second process on a store ends with 4, and names the first; `check` and `status` work meanwhile."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url)
        with started("run", cwd=tmp_path) as daemon:
            wait_for(daemon, "transfer.published")
            second = artifact_sync("run", cwd=tmp_path)
            assert second.code == 4
            assert f"process {daemon.pid}" in second.err
            assert "hint: " in second.err
            status = artifact_sync("status", "--json", cwd=tmp_path)
            assert (status.code, status.err) == (0, "")
            assert json.loads(status.out)["by_state"]["published"] >= 1
            check = artifact_sync("check", cwd=tmp_path)
            assert check.code == 0, check
            assert f"held by process {daemon.pid}" in check.out
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=20)
            assert daemon.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_sync_is_resumed(tmp_path, number, code):
    """A stop in the middle of a big archive ends in time and quietly, and the next pass goes on with what is there."""
    with simulated_gitlab("big:400MiB") as gitlab:
        configuration(tmp_path, gitlab.url)
        with started("sync", cwd=tmp_path) as process:
            wait_for(process, "selected")
            part = wait_for_growth(tmp_path / "mirror" / ".staging", 20 << 20, process)
            process.send_signal(number)
            out, _ = process.communicate(timeout=15)
        assert process.returncode == code
        assert "Traceback" not in out
        assert part.stat().st_size > 0
        assert artifact_sync("sync", "--strict", cwd=tmp_path).code == 0
        seen = [request for request in gitlab.ask("requests") if request["path"].endswith("/artifacts")]
        assert archives(tmp_path / "mirror") == {
            int(job): entry["sha256"] for job, entry in gitlab.ask("expected").items()
        }
    ranges = [request["headers"].get("Range") for request in seen]
    assert ranges[0] is None
    assert re.fullmatch(r"bytes=[1-9]\d+-", ranges[-1])


def wait_for_growth(staging: Path, size: int, process: "subprocess.Popen[str]") -> Path:
    """Wait until a part has that many bytes; the part."""
    while process.poll() is None:
        for path in staging.iterdir() if staging.is_dir() else ():
            if path.is_file() and path.stat().st_size >= size:
                return path
        os.sched_yield()
    raise AssertionError(f"the sync ended ({process.returncode}) before {size} bytes were there")

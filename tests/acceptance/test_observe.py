"""What an administrator sees of the daemon: metrics, status, and the log."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.harness import TOKEN, Simulated, artifact_sync, configuration, simulated_gitlab, started, wait_for
from tests.acceptance.test_replica import READER, free_port, got

SCOPED = "scoped-token-0123456789"


@pytest.fixture
def gitlab() -> Iterator[Simulated]:
    """With a project of two jobs."""
    with simulated_gitlab("jobs:2") as served:
        yield served


def test_the_daemon_tells_its_figures_and_its_log_no_secret(gitlab: Simulated, tmp_path: Path):
    """To who may see every project; lines of one job are found by its number, from the request to the publication."""
    (tmp_path / "reader").write_text(READER)
    (tmp_path / "scoped").write_text(SCOPED)
    port = free_port()
    tokens = "[{file: reader}, {file: scoped, projects: [nothing/here]}]"
    more = f"server: {{listen: '127.0.0.1:{port}', tokens: {tokens}}}\nlog: {{format: json}}\n"
    configuration(tmp_path, gitlab.url, more=more)
    url = f"http://127.0.0.1:{port}/metrics"
    found: dict[tuple[str, str], float] = {}
    with started("run", "--verbose", cwd=tmp_path) as daemon:
        wait_for(daemon, "http.listening")
        for _ in range(300):
            status, body = got(url, READER)
            assert status == 200
            samples = (s for family in text_string_to_metric_families(body.decode()) for s in family.samples)
            found = {(sample.name, json.dumps(sample.labels)): sample.value for sample in samples}
            if found[("artifact_sync_transfers_total", '{"outcome": "published"}')] == 2:
                break
            time.sleep(0.1)
        assert found[("artifact_sync_transfers_total", '{"outcome": "published"}')] == 2
        assert found[("artifact_sync_credential_refused", '{"purpose": "read"}')] == 0
        assert found[("artifact_sync_received_bytes_total", "{}")] > 0
        assert [got(url)[0], got(url, "wrong")[0], got(url, SCOPED)[0]] == [401, 401, 403]
        daemon.terminate()
        out, err = daemon.communicate(timeout=20)
    assert daemon.returncode == 0
    text = out + (err or "")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    published = [line for line in lines if line["event"] == "transfer.published"]
    assert len(published) == 2
    for each in published:
        own = [line for line in lines if line.get("transfer") == each["transfer"]]
        assert {line["job"] for line in own} == {each["job"]}
        requests = [line for line in own if line["event"] == "request.ended"]
        assert requests
        assert all(line["purpose"] == "download" and line["request"] > 0 for line in requests)
        assert "transfer.started" in {line["event"] for line in own}
    numbers = [line["request"] for line in lines if line["event"] == "request.ended"]
    assert len(set(numbers)) == len(numbers)
    for secret in (READER, SCOPED, TOKEN):
        assert secret not in text
        assert secret not in body.decode()


def test_status_tells_lag_risk_and_backlog(gitlab: Simulated, tmp_path: Path):
    """Before a pass and after it, for a person and for programs."""
    configuration(tmp_path, gitlab.url)
    before = artifact_sync("status", cwd=tmp_path)
    assert before.code == 0
    assert "no job yet, 0 waiting" in before.out
    assert artifact_sync("sync", cwd=tmp_path).code == 0
    after = artifact_sync("status", cwd=tmp_path)
    assert (
        "at risk:   not mirrored and expiring: 0 within 1h, 0 within 6h, 0 within 24h; 0 expired already" in after.out
    )
    assert "the newest is mirrored (ended " in after.out
    assert "backlog:   0 transfers" in after.out
    told = json.loads(artifact_sync("status", "--json", cwd=tmp_path).out)
    (lag,) = told["lags"]
    assert (lag["lag_seconds"], lag["waiting"], lag["oldest_waiting"]) == (0, 0, None)
    assert lag["newest_finished"] == lag["newest_mirrored"] is not None
    assert told["at_risk_within"] == {"1h": 0, "6h": 0, "24h": 0, "expired": 0}
    assert told["backlog"]["published"]["count"] == 2
    assert told["budget"]["per_minute"] > 0


@pytest.mark.parametrize("words", [["--help"], ["sync", "--help"], ["status", "--help"]])
def test_short_commands_do_without_what_only_the_daemon_needs(words):
    """The client for metrics is imported by nobody who serves none."""
    code = (
        "import sys; from artifact_sync.cli import main; "
        f"main({words!r}); "
        "assert 'artifact_sync.cli.commands' in sys.modules; "
        "sys.exit(int('prometheus_client' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout

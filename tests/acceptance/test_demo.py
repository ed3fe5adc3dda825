"""The demo as a newcomer runs it."""

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.acceptance.harness import artifact_sync, checksums_hold, environment, started, wait_for

ROOT = Path(__file__).parents[2]


def test_a_short_demo(tmp_path):
    """A demo of some seconds tells both sides, and ends by itself with a mirror whose checksums hold."""
    ran = artifact_sync("demo", "--seconds", "7", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^ +\d+ s  GitLab  ", ran.out, re.MULTILINE)
    assert re.search(r"^ +\d+ s  mirror  copied acme/app v1.1.0 package", ran.out, re.MULTILINE)
    assert "rule releases: " in ran.out
    assert re.search(r"^Look on in a browser: http://127\.0\.0\.1:\d+/$", ran.out, re.MULTILINE)
    assert re.search(r"^Metrics for Prometheus: http://127\.0\.0\.1:\d+/metrics$", ran.out, re.MULTILINE)
    assert "Left out by the rules" in ran.out
    assert checksums_hold(tmp_path / "mirror" / "tree") >= 3
    run_the_check(ran.out, tmp_path)
    # What it left can be asked without the simulated GitLab.
    status = artifact_sync("status", "-c", "mirror/demo.yaml", cwd=tmp_path)
    assert status.code == 0, status


def run_the_check(out: str, folder: Path) -> None:
    """Run the command that the summary names."""
    command = re.search(r"^  (cd .* && sha256sum -c SHA256SUMS)$", out, re.MULTILINE)
    assert command is not None, out
    done = subprocess.run(["bash", "-euc", command[1]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "artifacts.zip: OK" in done.stdout


@pytest.mark.long
@pytest.mark.timeout(120)
def test_the_whole_demo(tmp_path):
    """The demo of a minute shows an artifact kept shortly before its expiry, and a manual job that is caught late."""
    ran = artifact_sync("demo", cwd=tmp_path, timeout=100)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"Kept in GitLab shortly before its expiry: acme/app package #\d+, .* mirrored since", ran.out)
    assert re.search(r"Caught late: the manual job sign #\d+ of acme/app", ran.out)
    published = {Path(path).parent.parent.name for path in (tmp_path / "mirror" / "tree").rglob("SHA256SUMS")}
    assert {"package", "sign", "handbook%3Ahtml"} <= published
    run_the_check(ran.out, tmp_path)


def test_a_second_demo_starts_afresh(tmp_path):
    """A demo's folder is used again by the next demo; a folder of somebody's is refused and left alone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    for _ in range(2):
        assert artifact_sync("demo", "--seconds", "3", "--into", "a demo", cwd=tmp_path).code == 0
    refused = artifact_sync("demo", "--seconds", "3", "--into", "mine", cwd=tmp_path)
    assert refused.code == 2
    assert "mine is not empty" in refused.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious"]


def test_json(tmp_path):
    """With --json both sides are objects, a line each."""
    ran = artifact_sync("demo", "--seconds", "4", "--json", cwd=tmp_path)
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert {"dashboard", "upstream", "project_found", "selected", "transfer_ended"} <= {
        entry["event"] for entry in told
    }


def test_the_dashboard_is_served_as_long_as_the_demo_goes_on(tmp_path):
    """Also where its usual port is taken, as by another demo; pages show what both have mirrored."""
    with started("demo", "--seconds", "40", "--into", "a", cwd=tmp_path) as first:
        one = served_at(wait_for(first, "Look on in a browser"))
        with started("demo", "--seconds", "40", "--into", "b", cwd=tmp_path) as second:
            out = wait_for(second, "Look on in a browser")
            other = served_at(out)
            assert one != other
            wait_for(second, "mirror  copied")
            with urllib.request.urlopen(other, timeout=10) as answer:
                assert b"Last publications" in answer.read()
            for address in (one, other):
                with urllib.request.urlopen(f"{address}metrics", timeout=10) as answer:
                    figures = answer.read().decode()
                # What was heard, and what is looked up.
                assert re.search(r'^artifact_sync_transfers_total\{outcome="published"\} [1-9]', figures, re.MULTILINE)
                assert figures.count("# TYPE artifact_sync_backlog_transfers gauge") == 1
            for process in (first, second):
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=15)


def served_at(out: str) -> str:
    """The address that a demo has told."""
    found = re.search(r"browser: (http://\S+)", out)
    assert found is not None, out
    return found[1]


def test_ctrl_c(tmp_path):
    """Ctrl-C ends a demo at once and quietly."""
    with started("demo", cwd=tmp_path) as process:
        wait_for(process, "mirror  copied")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in out


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_installed_wheel_runs_the_demo(tmp_path):
    """The wheel alone, in a new environment with the locked versions, runs the demo."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True, capture_output=True)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "artifact-sync", *shlex.split("demo --seconds 8")],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert checksums_hold(tmp_path / "mirror" / "tree") >= 3

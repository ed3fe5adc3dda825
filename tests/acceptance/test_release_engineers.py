"""Every command of docs/release-engineers.md runs, in its order, in one folder, beside a daemon that serves what it mirrored."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.harness import COMMAND, TOKEN, Simulated, environment, simulated_gitlab, started, wait_for
from tests.acceptance.test_replica import READER, free_port, listed
from tests.unit.test_pages import blocks

PAGE = "docs/release-engineers.md"
CONFIGURATION = """
version: 1
gitlab: {{url: '{url}', token: {{file: gitlab-token}}}}
store: {{path: releases, min_free: 1MiB}}
server: {{listen: '127.0.0.1:{port}', tokens: [{{file: readers}}]}}
rules: [{{name: releases, projects: [{project}], when: {{ref_type: [tag]}}}}]
"""


def ran(text: str, folder: Path, port: int, *program: str) -> subprocess.CompletedProcess[str]:
    """As a reader would, with the installed command in the PATH."""
    env = environment({"PATH": f"{COMMAND.parent}:{environment()['PATH']}"})
    env |= {"MIRROR": f"http://127.0.0.1:{port}", "MIRROR_TOKEN": READER}
    return subprocess.run(
        [*program, text], cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False
    )


def mapped(text: str, gitlab: Simulated, job: int) -> str:
    """With the simulated project, and what there is in it."""
    for theirs, ours in (
        ("group%2Fapp", gitlab.project.replace("/", "%2F")),
        ("group/app", gitlab.project),
        ("1234", str(job)),
    ):
        text = text.replace(theirs, ours)
    return text


@pytest.mark.timeout(180)
def test_the_commands_run_in_their_order(tmp_path):
    """Each of them succeeds after those before it; the archive is what GitLab has."""
    port = free_port()
    with simulated_gitlab("demo") as gitlab:
        (tmp_path / "gitlab-token").write_text(TOKEN)
        (tmp_path / "readers").write_text(READER)
        text = CONFIGURATION.format(url=gitlab.url, port=port, project=gitlab.project)
        (tmp_path / "artifact-sync.yaml").write_text(text)
        assert ran("artifact-sync sync", tmp_path, port, "bash", "-euc").returncode == 0
        with started("run", cwd=tmp_path) as daemon:
            wait_for(daemon, "http.listening")
            jobs = listed(f"http://127.0.0.1:{port}/api/v4")
            (job,) = [each["id"] for each in jobs if (each["ref"], each["name"]) == ("v1.0.0", "package")]
            for page, block in blocks("sh"):
                if page == PAGE:
                    done = ran(mapped(block, gitlab, job), tmp_path, port, "bash", "-euo", "pipefail", "-c")
                    assert (done.returncode, done.stderr) == (0, ""), block
            by_curl = (tmp_path / "package.zip").read_bytes()
            (program,) = [block for page, block in blocks("python") if page == PAGE]
            done = ran(mapped(program, gitlab, job), tmp_path, port, sys.executable, "-c")
            assert done.returncode == 0, done
            assert (tmp_path / "package.zip").read_bytes() == by_curl
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=20)
    (published,) = (tmp_path / "releases" / "tree").glob(f"*/*/v1.0.0/package/{job}/artifacts.zip")
    assert published.read_bytes() == by_curl
    assert list((tmp_path / "copy").rglob("artifacts.zip"))

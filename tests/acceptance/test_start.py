"""What a command loads before it works: the start is most of a short command's time."""

import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.harness import artifact_sync, environment, simulated_gitlab

#: For terminals that show bars, for the demo, for programs that list what is installed, and for servers.
NEVER = {"artifact_sync.simulator", "aiohttp.web", "multiprocessing", "pygments", "rich"}


def loaded(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> set[str]:
    """Every module that the command imported. It must succeed."""
    ran = artifact_sync(*arguments, cwd=cwd, env={"PYTHONVERBOSE": "1", **(env or {})})
    assert ran.code == 0, [line for line in ran.err.splitlines() if line.startswith(("error", "hint"))]
    return set(re.findall(r"^import '([\w.]+)' #", ran.err, re.MULTILINE))


def test_the_version_loads_almost_nothing(tmp_path):
    """`--version` loads none of what a command works with, and does not look for installed packages."""
    modules = loaded("--version", cwd=tmp_path)
    assert "artifact_sync.cli.commands" in modules
    works = {"aiohttp", "anyio", "artifact_sync.app", "importlib.metadata", "pydantic", "sqlite3", "yaml"}
    assert modules.isdisjoint(NEVER | works), modules & (NEVER | works)


def test_a_sync_loads_what_it_uses(tmp_path):
    """A whole pass in a pipe loads no part of another command, nothing for terminals, and no simulator."""
    with simulated_gitlab("jobs:1:100") as gitlab:
        modules = loaded("sync", "--url", gitlab.url, "--project", "acme/app", "--into", "mirror", cwd=tmp_path)
    assert list((tmp_path / "mirror").rglob("artifacts.zip"))
    assert {"aiohttp", "artifact_sync.app", "artifact_sync.cli.sync", "pydantic"} <= modules
    others = {f"artifact_sync.cli.{name}" for name in ("audit", "check", "demo", "explain", "keeps", "plan", "status")}
    assert modules.isdisjoint(NEVER | others), modules & (NEVER | others)


def test_no_installed_package_is_asked_about_the_configuration(tmp_path):
    """A pydantic plugin of another package beside this one is not loaded: it could change what a configuration means."""
    (tmp_path / "meddler.py").write_text("raise SystemExit('loaded')\n")
    (metadata := tmp_path / "meddler-1.dist-info").mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: meddler\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\nmeddler = meddler:plugin\n")
    modules = loaded("config", "schema", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert "pydantic" in modules
    assert "meddler" not in modules


def test_ctrl_c_while_modules_are_imported(tmp_path):
    """Ends it at once, without a traceback."""
    script = """
import os, signal, sys
class Pressed:
    def find_spec(self, name, *others):
        if name == "artifact_sync.cli.commands":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Pressed())
from artifact_sync.__main__ import main
main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, "--version"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGINT, "", "")

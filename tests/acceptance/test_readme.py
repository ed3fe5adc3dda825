"""Every command of README.md runs, in its order, in one folder, against a simulated GitLab.

The fenced `sh` blocks are taken line by line. What stands for the reader's own GitLab is replaced by the simulated one:
its address, the names of its projects, the number of a job, the token. Four commands are not run as they stand:
`make test` would run this test again, and `make demo` and `pip install .` would set up this checkout anew, so it is checked
that the targets exist, the command that `make demo` expands to is run for some seconds, and the package is installed without
its dependencies into a folder that is thrown away; `artifact-sync run` does not end by itself, so it is given SIGTERM.
"""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.harness import COMMAND, TOKEN, Simulated, environment, simulated_gitlab, started, wait_for

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
#: Commands as written, without comments.
COMMANDS = [
    shlex.join(words)
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.splitlines()
    if (words := shlex.split(line, comments=True))
]
DEMO, TEST, INSTALL, RUN = "make demo", "make test", "python3 -m pip install .", "artifact-sync run"
AUDIT = "artifact-sync audit"


def mapped(text: str, gitlab: Simulated) -> str:
    """The text with the simulated GitLab in place of the reader's."""
    job = min(int(number) for number in gitlab.ask("expected"))
    for theirs, ours in (
        ("https://gitlab.example.com", gitlab.url),
        ("group/app", gitlab.project),
        ("group/libs", "acme/lib"),
        ("jobs/1234", f"jobs/{job}"),
        ("glpat-your-token", TOKEN),
    ):
        text = text.replace(theirs, ours)
    return text


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it as a reader would, with the installed command in the PATH."""
    env = environment({"PATH": f"{COMMAND.parent}:{environment()['PATH']}"})
    return subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False
    )


def test_the_special_commands_are_there():
    """The commands that are treated specially stand in the README as they are treated."""
    assert {DEMO, TEST, INSTALL, RUN, AUDIT} <= set(COMMANDS)
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("target", [DEMO, TEST])
def test_make_targets_exist(target):
    """The README's targets exist, and expand to the commands that they stand for."""
    expanded = subprocess.run(
        [*shlex.split(target), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ("artifact-sync demo --into mirror" if target == DEMO else "-m pytest") in expanded


def test_make_demo_runs(tmp_path):
    """The command that `make demo` expands to runs and leaves a mirror, in an empty folder."""
    expanded = subprocess.run(
        ["make", "demo", "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    words = shlex.split(next(line for line in expanded.splitlines() if "artifact-sync demo" in line))
    done = shell(shlex.join(["artifact-sync", *words[1:], "--seconds", "6"]), tmp_path)
    assert done.returncode == 0, done
    assert list((tmp_path / "mirror" / "tree").rglob("SHA256SUMS"))


@pytest.mark.timeout(240)
def test_install(tmp_path):
    """`pip install .` makes a package with the command."""
    words = shlex.split(INSTALL)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(tmp_path)]
    subprocess.run([sys.executable, *words[1:-1], *options, str(ROOT)], check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "artifact_sync" / "cli" / "__init__.py").is_file()
    assert (tmp_path / "bin" / "artifact-sync").is_file()


@pytest.mark.timeout(180)
def test_the_other_commands_run_in_their_order(tmp_path):
    """One folder, one reader: each command of the README succeeds after those before it, and mirrors what it says."""
    configuration = next(text for kind, text in BLOCKS if kind == "yaml")
    with simulated_gitlab("demo") as gitlab:
        (tmp_path / "artifact-sync.yaml").write_text(
            mapped(configuration, gitlab).replace("{path: ./releases}", "{path: ./releases, min_free: 1MiB}")
        )
        (tmp_path / "gitlab-token").write_text(TOKEN)
        for command in COMMANDS:
            if command in {DEMO, TEST, INSTALL}:
                continue
            if command == RUN:
                with started("run", cwd=tmp_path) as daemon:
                    wait_for(daemon, "project.found")
                    daemon.send_signal(signal.SIGTERM)
                    daemon.communicate(timeout=20)
                    assert daemon.returncode == 0
                continue
            done = shell(mapped(command, gitlab), tmp_path)
            # The simulated company goes on working: a release may have come since the last pass.
            assert done.returncode in ({0, 5} if command == AUDIT else {0}), (command, done)
    published = {path.parent.parent.parent.name for path in (tmp_path / "releases" / "tree").rglob("SHA256SUMS")}
    assert {"v1.0.0", "v1.1.0", "v0.9.0"} <= published
    assert "main" not in published


def test_the_configuration_is_accepted_as_it_stands(tmp_path):
    """The README's configuration loads without any replacement."""
    configuration = next(text for kind, text in BLOCKS if kind == "yaml")
    (tmp_path / "artifact-sync.yaml").write_text(configuration)
    done = shell("artifact-sync config show", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")

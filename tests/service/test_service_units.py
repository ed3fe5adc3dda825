"""The units and drop-ins: systemd understands every line, and what a service can reach is little."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import units
from tests.service.units import EXAMPLES, FOLDER, SERVICES, UNITS, allowed_calls, analyzer, settings_of

#: systemd's measure of what is left open, times ten.
MOST = 12
#: Drop-ins that loosen on purpose, for who needs it, and how far; the others keep to MOST.
LOOSER = {"hooks.conf": 16, "readers.conf": 14}
#: What older versions of systemd do not know.
SINCE = {"notify-reload.conf": 253}
CONFINED = Path(units.__file__).with_name("confined.py")


@pytest.fixture
def systemd():
    """systemd-analyze; without one there is nothing to test, but in continuous integration that is a failure."""
    found = analyzer()
    if found is None:
        assert not os.environ.get("CI"), "systemd-analyze is neither installed nor to be had"
        pytest.skip("systemd-analyze is neither installed nor to be had")
    return found


@pytest.fixture
def installed(tmp_path):
    """A folder with all units. The command is another one: systemd refuses a unit whose command is not there."""
    for path in FOLDER.iterdir():
        if path.is_file() and path.suffix in {".service", ".timer"}:
            (tmp_path / path.name).write_text(path.read_text().replace("/usr/bin/artifact-sync", "/bin/true"))
    shutil.copy(tmp_path / "artifact-sync@.service", tmp_path / "artifact-sync@one.service")
    return tmp_path


def with_drop_in(installed: Path, example: str) -> None:
    """Put it where `systemctl edit` does."""
    folder = installed / "artifact-sync.service.d"
    folder.mkdir()
    shutil.copy(FOLDER / "examples" / example, folder / example)


def words(process: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Its exit code and what it complained about."""
    return process.returncode, process.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_each_unit(systemd, installed, unit):
    """Without a word: what it does not understand it leaves out, with a warning and exit code 0."""
    assert words(systemd.run("verify", installed / unit, units=installed)) == (0, "")


def test_a_line_that_systemd_does_not_understand_is_seen(systemd, installed):
    """The tests here can fail."""
    path = installed / UNITS[0]
    path.write_text(path.read_text().replace("PrivateTmp=yes", "PrivateTemp=yes"))
    assert "PrivateTemp" in systemd.run("verify", path, units=installed).stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_each_service_can_reach_little(systemd, installed, unit):
    """systemd's own judgement; it ends with 1 above the threshold."""
    done = systemd.run("security", "--offline=yes", "--no-pager", f"--threshold={MOST}", installed / unit)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_systemd_understands_each_drop_in_and_little_more_can_be_reached(systemd, installed, example):
    """Also the ones that loosen say how far."""
    if systemd.version < SINCE.get(example, 0):
        pytest.skip(f"systemd {systemd.version} is older than {SINCE[example]}")
    with_drop_in(installed, example)
    assert words(systemd.run("verify", "artifact-sync.service", units=installed)) == (0, "")
    threshold = f"--threshold={LOOSER.get(example, MOST)}"
    unit = installed / "artifact-sync.service"
    done = systemd.run("security", "--offline=yes", "--no-pager", threshold, unit, units=installed)
    assert done.returncode == 0, done.stdout


def test_the_services_share_one_sandbox():
    """The template and the pass are the service but for names, starting and stopping: everything from the user on is the same."""

    def sandbox(name: str) -> list[str]:
        lines = (FOLDER / name).read_text().partition("DynamicUser=yes\n")[2].partition("\n[Install]")[0].splitlines()
        own = ("StateDirectory=", "WorkingDirectory=", "LoadCredential=", "User=")
        return [line for line in lines if not line.startswith(own)]

    service = sandbox("artifact-sync.service")
    assert len(service) > 40
    assert sandbox("artifact-sync@.service") == service
    assert sandbox("artifact-sync-sync.service")[: len(service)] == service


def test_an_instance_has_nothing_of_another_ones():
    """Configuration, state and token carry its name."""
    text = (FOLDER / "artifact-sync@.service").read_text()
    assert settings_of(text, "ExecStart") == ["/usr/bin/artifact-sync run -c /etc/artifact-sync/%i.yaml"]
    assert settings_of(text, "StateDirectory") == ["artifact-sync/%i"]
    assert settings_of(text, "LoadCredential") == ["gitlab-token:/etc/artifact-sync/%i/gitlab-token"]


def confined(allowed: frozenset[str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A program with these calls alone."""
    (folder / "allowed").write_text("\n".join(sorted(allowed)))
    command = [sys.executable, str(CONFINED), str(folder / "allowed"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize(
    "command",
    [
        ("nice", "-n", "5", "true"),
        ("ionice", "-c", "3", "true"),
        ("chgrp", "{gid}", "{file}"),
    ],
    ids=lambda command: command[0],
)
def test_what_the_filter_denies_to_commands_the_drop_in_allows(systemd, tmp_path, command):
    """Of a service's commands, with the unit's calls, and with those of examples/hooks.conf."""
    (tmp_path / "file").touch()
    words = [word.format(gid=os.getgid(), file=tmp_path / "file") for word in command]
    unit, drop_in = (FOLDER / UNITS[0]).read_text(), (FOLDER / "examples" / "hooks.conf").read_text()
    denied = confined(allowed_calls(systemd, unit), tmp_path, *words)
    assert "not permitted" in denied.stderr.lower()
    allowed = confined(allowed_calls(systemd, unit, drop_in), tmp_path, *words)
    assert (allowed.returncode, allowed.stderr) == (0, "")


def test_programs_of_a_deployment_run_confined(systemd, tmp_path):
    """Copying, hashing, packing, replacing a link: what a command mostly does needs no drop-in but for its folders."""
    calls = allowed_calls(systemd, (FOLDER / UNITS[0]).read_text())
    script = (
        "set -e; echo x > a; mkdir -p releases/1; cp a releases/1/; sha256sum a > sums; sha256sum -c sums;"
        "tar -czf a.tar.gz releases; ln -s releases/1 new; mv -T new current; test -f current/a; rm -r releases"
    )
    done = confined(calls, tmp_path, "sh", "-c", f"cd {tmp_path}; {script}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("call", ["mount", "ptrace", "setuid", "reboot", "bpf", "keyctl", "init_module", "ioprio_set"])
def test_what_no_service_needs_is_denied(systemd, call):
    """And what any program needs is not."""
    calls = allowed_calls(systemd, (FOLDER / UNITS[0]).read_text())
    assert call not in calls
    assert {"read", "openat", "execve", "futex", "syncfs", "linkat", "clone3"} <= calls

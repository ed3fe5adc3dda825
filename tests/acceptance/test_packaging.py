"""What surrounds the package: the unit, the image, the build's files."""

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "artifact-sync.service"


def test_ci_runs_the_readmes_test_command():
    """What CI runs is the README's test command."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^exec env .* make test </dev/null$", script.read_text(), re.MULTILINE)
    assert "\nmake test\n" in (ROOT / "README.md").read_text()


def test_the_unit_runs_the_command():
    """The unit runs the daemon, without rights, with the token as a credential."""
    text = UNIT.read_text()
    for line in (
        "ExecStart=/usr/bin/artifact-sync run -c /etc/artifact-sync/config.yaml",
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "LoadCredential=gitlab-token:/etc/artifact-sync/gitlab-token",
    ):
        assert f"\n{line}\n" in text


def test_the_image_copies_what_is_there():
    """Every file that the Dockerfile copies exists and is not kept out by .dockerignore; the image is not root's."""
    text = (ROOT / "Dockerfile").read_text()
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignore
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["/usr/bin/tini", "--", "artifact-sync"\]\nCMD \["run"\]$', text, re.MULTILINE)


@pytest.mark.timeout(180)
def test_wheel_and_sdist(tmp_path):
    """`make build` makes a wheel with the whole package, and an sdist from which it can be built and tested."""
    expanded = subprocess.run(
        ["make", "build", "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    words = next(line for line in expanded.splitlines() if "-m build" in line).replace(
        "--outdir dist", f"--outdir {tmp_path}"
    )
    subprocess.run(words.split(), cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    packed = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT / "daemon").as_posix()
        for path in (ROOT / "daemon").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= packed
    assert {"artifact_sync/py.typed", "artifact_sync/simulator/__main__.py"} <= packed
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "Makefile", "config/sidecar.yaml", "systemd/artifact-sync.service"} <= names
    assert not any(name.startswith((".venv", "mirror", ".git/")) for name in names)

"""A private installation of the package under test, so that edits during a run change nothing, and mutants can be made."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Installation", "Patch", "install"]

REPOSITORY = Path(__file__).parents[2]
_IGNORED = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A replacement of text in one file of the package."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A virtual environment whose interpreter imports the copy, also in the processes that the daemon starts."""

    python: Path
    package: Path


def install(folder: Path, *, patches: tuple[Patch, ...] = (), source: Path | None = None) -> Installation:
    """Copy the package (``source`` is the folder that it lies in), patch the copy, and make an environment for it.

    Raises AssertionError when a text to be replaced is not there exactly once: the code has moved, and the patch must follow.
    """
    origin = source or REPOSITORY / "daemon"
    root = folder / "daemon"
    shutil.copytree(origin / "artifact_sync", root / "artifact_sync", ignore=_IGNORED)
    for patch in patches:
        path = root / "artifact_sync" / patch.file
        text = path.read_text()
        found = text.count(patch.old)
        assert found == 1, f"{patch.file} holds {found} times, not once:\n{patch.old}"
        path.write_text(text.replace(patch.old, patch.new))
    compileall.compile_dir(root, quiet=2)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", venv], check=True)
    packages = Path(
        sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv), "installed_base": str(venv)})
    )
    # The copy stands before what is installed beside this interpreter, where the package itself may be installed too.
    (packages / "under_test.pth").write_text(f"{root}\n{sysconfig.get_path('purelib')}\n")
    made = Installation(python=venv / "bin" / "python", package=root / "artifact_sync")
    _require_imported(made)
    return made


def _require_imported(made: Installation) -> None:
    told = subprocess.run(
        [made.python, "-I", "-c", "import artifact_sync; print(artifact_sync.__file__)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert Path(told).parent == made.package, f"{made.python} imports {told}, not the copy below {made.package}"

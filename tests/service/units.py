"""The units as systemd reads them: systemd-analyze, and the system calls that they allow."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["EXAMPLES", "FOLDER", "SERVICES", "UNITS", "Analyzer", "allowed_calls", "analyzer", "settings_of"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "systemd"
#: The template as the instance "one".
UNITS = ("artifact-sync.service", "artifact-sync@one.service", "artifact-sync-sync.service", "artifact-sync-sync.timer")
SERVICES = UNITS[:3]
EXAMPLES = tuple(sorted(path.name for path in (FOLDER / "examples").glob("*.conf")))
_CACHE = ROOT / ".cache" / "systemd"
_PACKAGES = ("systemd", "libsystemd-shared")


@dataclass(frozen=True, kw_only=True)
class Analyzer:
    """systemd-analyze, installed or unpacked; no systemd runs."""

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str | Path, units: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Ask it something; ``units`` is a folder that it finds units and drop-ins in, before the system's."""
        env = {**os.environ, **self.environment, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
        if units is not None:
            env["SYSTEMD_UNIT_PATH"] = f"{units}:"
        command = [self.program, *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    @property
    def version(self) -> int:
        """Of systemd."""
        return int(self.run("--version").stdout.split()[1])


@cache
def analyzer() -> Analyzer | None:
    """The installed one; else that of Debian's packages, unpacked into .cache/systemd. None where neither can be had."""
    if installed := shutil.which("systemd-analyze"):
        return Analyzer(program=Path(installed))
    libraries = _CACHE / "usr" / "lib" / f"{platform.machine()}-linux-gnu" / "systemd"
    unpacked = Analyzer(
        program=_CACHE / "usr" / "bin" / "systemd-analyze", environment={"LD_LIBRARY_PATH": str(libraries)}
    )
    if not unpacked.program.exists() and not _fetched():
        return None
    return unpacked


def _fetched() -> bool:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    print(f"Fetching {', '.join(_PACKAGES)} by apt-get into {_CACHE}; nothing is installed", flush=True)  # noqa: T201
    _CACHE.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "-qq", *_PACKAGES], cwd=_CACHE, check=True, stdin=subprocess.DEVNULL)
        for package in _CACHE.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, _CACHE], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def settings_of(text: str, name: str) -> list[str]:
    """Every value of a setting in a unit or a drop-in, in order."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith(("#", ";")))
    return [value.strip() for key, _, value in lines if key.strip() == name]


def allowed_calls(using: Analyzer, *texts: str) -> frozenset[str]:
    """The calls that the SystemCallFilter lines of a unit and its drop-ins leave, all on from an allow-list (systemd.exec(5))."""
    allowed: set[str] = set()
    first = True
    for line in (line for text in texts for line in settings_of(text, "SystemCallFilter")):
        names = _expanded(using, line.lstrip("~").split())
        assert not (first and line.startswith("~")), "the first filter allows"
        first = False
        if line.startswith("~"):
            allowed -= names
        else:
            allowed |= names
    # Whatever is filtered, a program can be started and ended: systemd.exec(5), SystemCallFilter=.
    return frozenset(allowed | _expanded(using, ["@default"])) if not first else frozenset()


def _expanded(using: Analyzer, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        lines = using.run("syscall-filter", "--no-pager", name).stdout.splitlines()[1:]
        members = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        assert members, f"systemd knows no {name}"
        found |= _expanded(using, members)
    return found

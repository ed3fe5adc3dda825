"""The programs that take part: which are there, which can be installed, and their versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess

__all__ = ["path", "provide", "versions"]

#: Programs, and the packages of Debian that have them.
_PACKAGES = {
    "nginx": "nginx",
    "curl": "curl",
    "sha256sum": "coreutils",
    "aria2c": "aria2",
    "wget": "wget",
    "wrk": "wrk",
}
#: What downloads are compared with.
_PEERS = ("nginx", "curl", "sha256sum", "aria2c", "wget", "gitlab")
_LIBRARIES = {"gitlab": "python-gitlab"}
_LONGEST = 600
_VERSION = re.compile(r"\d+\.\d[\w.]*")


def path(program: str) -> str | None:
    """Where a program is, also where only root's search path leads."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def provide(*names: str) -> dict[str, str]:
    """Install what is missing of these (default: of the peers), if possible; what is missing then, with the reason, in one line."""
    needed = names or _PEERS
    wanted = [program for program in _PACKAGES if program in needed and path(program) is None]
    why = _install([_PACKAGES[program] for program in wanted]) if wanted else ""
    lacking = {program: why or "not there after its installation" for program in wanted if path(program) is None}
    for module, name in _LIBRARIES.items():
        if module in needed and importlib.util.find_spec(module) is None:
            lacking[module] = f"{name} is not among the installed packages (requirements-dev.lock has it)"
    for name, reason in lacking.items():
        print(f"left out: {name}: {reason}", flush=True)
    return lacking


def _install(packages: list[str]) -> str:
    """Why not; empty when they are installed."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        return f"not installed, and there is no apt-get to install {names}"
    if os.geteuid() != 0:
        return f"not installed; as root: apt-get install {names}"
    print(f"installing by apt-get: {names} (Debian starts the servers among them where services are run)", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        try:
            done = subprocess.run(
                ["apt-get", "--quiet", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"apt-get {command[0]} did not end within {_LONGEST} s"
        # An update that reaches one of several sources only may do.
        if done.returncode != 0 and command[0] == "install":
            return f"apt-get install failed: {(done.stdout.strip().splitlines() or ['no word'])[-1]}"
    return ""


def versions(*names: str) -> dict[str, str]:
    """Of these, as far as they are there (default: of the peers)."""
    found = {}
    wanted = names or _PEERS
    for program in (name for name in _PACKAGES if name in wanted):
        if (where := path(program)) is not None:
            option = "-v" if program in {"nginx", "wrk"} else "--version"
            done = subprocess.run([where, option], capture_output=True, text=True, timeout=20, check=False)
            version = _VERSION.search(done.stdout + done.stderr)
            found[program] = version[0] if version else "?"
    for module, name in _LIBRARIES.items():
        if module in wanted and importlib.util.find_spec(module) is not None:
            found[name] = importlib.metadata.version(name)
    return found

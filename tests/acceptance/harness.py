"""The installed command and a simulated GitLab, each as a process of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("artifact-sync")
#: What no test may find anywhere outside of the environment it was given in.
TOKEN = "glpat-acceptance-0123456789"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment: nothing of the caller's but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "GITLAB_TOKEN": TOKEN, "COLUMNS": "110", **(extra or {})}


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str


def artifact_sync(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 50) -> Ran:
    """Run the installed command to its end."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """The installed command as a running process, standard error in its output; killed in the end if it still runs."""
    with subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def on_a_terminal(
    *arguments: str | Path, cwd: Path, columns: int = 120, answers: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run the installed command on a terminal where somebody has typed the answers: (exit code, what the terminal got)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    os.write(ours, answers.encode())
    out = bytearray()
    with subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment({"TERM": "xterm", "COLUMNS": str(columns), **(env or {})}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        # Linux reports the other side's end as EIO.
        with suppress(OSError):
            while data := os.read(ours, 65536):
                out += data
        code = process.wait(timeout=30)
    os.close(ours)
    return code, out.decode(errors="replace")


@dataclass(frozen=True)
class Simulated:
    """A simulated GitLab in a process of its own."""

    url: str
    storage_url: str
    #: The project that its worlds have.
    project: str
    pid: int

    def ask(self, what: str) -> Any:
        """What the simulator itself tells: `expected` (job id to sha256) or `requests`."""
        with urllib.request.urlopen(f"{self.url}/-/simulator/{what}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def simulated_gitlab(world: str, *options: str) -> Iterator[Simulated]:
    """A simulated GitLab whose token is TOKEN."""
    command = [sys.executable, "-m", "artifact_sync.simulator", "--world", world, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Simulated(**{field.name: ready[field.name] for field in fields(Simulated)})
        finally:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read the process's output up to the first line that contains the text; what was read."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"ended without {text!r}:\n{seen}")


def configuration(folder: Path, url: str, *, projects: str = "[acme/app]", more: str = "") -> Path:
    """A configuration in the folder with one rule, a store beside it, and no demand for free space."""
    path = folder / "artifact-sync.yaml"
    path.write_text(
        f"version: 1\ngitlab: {{url: '{url}', token: {{env: GITLAB_TOKEN}}}}\n"
        "store: {path: mirror, min_free: 1MiB}\n"
        f"rules:\n  - {{name: all, projects: {projects}}}\n{more}"
    )
    return path


def archives(store: Path) -> dict[int, str]:
    """sha256 of each published archive by job id, the last component of its folder."""
    return {
        int(path.parent.name): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (store / "tree").rglob("artifacts.zip")
    }


def strays(store: Path) -> list[str]:
    """What lies in staging."""
    return [path.name for path in (store / ".staging").rglob("*") if path.is_file()]


def checksums_hold(tree: Path) -> int:
    """Run `sha256sum -c` in every publication, and return how many there are."""
    folders = [path.parent for path in tree.rglob("SHA256SUMS")]
    for folder in folders:
        subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True, capture_output=True
        )
    return len(folders)

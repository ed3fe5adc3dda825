"""Containers of the image: started by podman as docs/container.md says, looked at from outside, and removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["IMAGE", "USER", "Container", "Engine", "Failed", "reached", "require"]

IMAGE = "localhost/artifact-sync:test"
USER = 10001
#: The most that a container of these checks may have, as the examples of config/ say.
MEMORY = "256m"
#: No right is left, and the only places to write to are volumes. The limits are named because a machine may not allow to
#: raise them.
_CONFINED = (
    "--pull=never",
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--memory={MEMORY}",
    f"--memory-swap={MEMORY}",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
)


class Failed(Exception):
    """Something does not hold."""


def require(holds: object, what: str) -> None:
    """Raises Failed."""
    if not holds:
        raise Failed(what)


def reached(holds: Callable[[], Any], what: str, *, within: float = 60.0) -> Any:
    """Wait until it holds; what it then is. Raises Failed."""
    end = time.monotonic() + within
    while not (found := holds()):
        if time.monotonic() > end:
            raise Failed(f"not within {within:g} s: {what}")
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class Container:
    """One that was started."""

    engine: Engine
    name: str

    def inspect(self) -> dict[str, Any]:
        """What podman says of it."""
        return dict(json.loads(self.engine.podman("inspect", "--type=container", self.name).stdout)[0])

    @property
    def init(self) -> int:
        """Its PID 1, as a process of this machine."""
        return int(self.inspect()["State"]["Pid"])

    @property
    def daemon(self) -> int:
        """The process that mirrors: PID 1, or its only child."""
        init = self.init
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        inside = Path(f"/proc/{init}/comm").read_text().strip()
        return int(children[0]) if inside == "tini" else init

    def processes(self) -> list[Path]:
        """Folders below /proc of all that run or are dead and not yet buried in it."""
        space = Path(f"/proc/{self.init}/ns/pid").readlink()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (folder / "ns" / "pid").readlink() == space:
                    found.append(folder)
        return found

    def unburied(self) -> int:
        """How many of its processes have ended and wait for somebody to take note."""
        # The namespace of a zombie cannot be read any more, its parent can.
        inside = {int(folder.name) for folder in self.processes()}
        count = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
                count += state == "Z" and int(parent) in inside
        return count

    def healthy(self) -> bool:
        """What the image's health check says now."""
        return self.engine.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def log(self) -> str:
        """All that it wrote."""
        done = self.engine.podman("logs", self.name)
        return done.stdout + done.stderr

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event in its log."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def stop(self) -> tuple[float, int]:
        """Seconds that it took to end after SIGTERM, and its exit code."""
        began = time.monotonic()
        self.engine.podman("stop", "--time", "10", self.name)
        return time.monotonic() - began, int(self.inspect()["State"]["ExitCode"])

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        return int(self.engine.podman("wait", self.name, timeout=240).stdout)


@dataclass(frozen=True)
class Engine:
    """podman with a storage of its own, in the folder ``work``."""

    work: Path

    def podman(self, *words: str | Path, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run it. Raises Failed where it must succeed and does not."""
        runtime = shutil.which("runc") or "runc"
        command: list[str | Path] = [
            "podman",
            "--root",
            self.work / "storage",
            "--runroot",
            self.work / "run",
            "--tmpdir",
            self.work / "tmp",
        ]
        # There may be no systemd to ask for control groups, and no journal for events.
        command += ["--runtime", runtime, "--cgroup-manager=cgroupfs", "--events-backend=file", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        require(done.returncode == 0 or not check, f"podman {words[0]}: {done.stderr.strip()[-2000:]}")
        return done

    def once(
        self, place: Sequence[str], *words: str, entrypoint: str = "", user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """One command in a container of its own, to its end."""
        options = [
            *place,
            *([f"--entrypoint={entrypoint}"] if entrypoint else []),
            *([f"--user={user}"] if user else []),
        ]
        return self.podman("run", "--rm", *_CONFINED, *options, IMAGE, *words, check=False, timeout=240)

    @contextmanager
    def started(self, name: str, place: Sequence[str], *words: str, entrypoint: str = "") -> Iterator[Container]:
        """A container that goes on in the background."""
        options = [*place, *([f"--entrypoint={entrypoint}"] if entrypoint else [])]
        self.podman("run", "--detach", f"--name={name}", *_CONFINED, *options, IMAGE, *words)
        try:
            yield Container(self, name)
        finally:
            self.podman("rm", "--force", "--time", "0", name, check=False)

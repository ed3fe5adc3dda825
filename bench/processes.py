"""Processes that are measured, and the simulated GitLab beside them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Failed", "Run", "folder", "free_ports", "installed", "killed", "measure", "simulator", "wait_for_port"]

_LAUNCH = Path(__file__).with_name("launch.py")
#: The longest that a command may take, in seconds.
_LONGEST = 3600
_START = 20


class Failed(Exception):
    """A measured command ended with another exit code than 0, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a process took: seconds from start to end, CPU seconds, and the peak of its resident memory in bytes."""

    seconds: float
    cpu: float
    peak: int


class folder(tempfile.TemporaryDirectory[str]):  # noqa: N801 - used as a function
    """A folder on a disk, not in memory, so that writing costs what it costs."""

    def __init__(self) -> None:
        place = Path(__file__).parents[1] / ".cache"
        place.mkdir(exist_ok=True)
        super().__init__(prefix="bench-", dir=place)

    def __enter__(self) -> Path:  # type: ignore[override]  # a Path is what everybody here wants
        return Path(super().__enter__())


def installed() -> str:
    """The command beside this interpreter."""
    return str(Path(sys.executable).with_name("artifact-sync"))


def measure(command: Sequence[str], *, output: Path) -> Run:
    """Run a command to its end, its output in a file. Its memory counts from some 8 MiB on, the launcher's own.

    Raises Failed with the end of the output.
    """
    report = output.with_name(f"{output.name}.took")
    report.unlink(missing_ok=True)
    launched = [sys.executable, "-I", "-S", str(_LAUNCH), str(report), *command]
    with output.open("wb") as file:
        process = _started(launched, file.fileno())
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise Failed(f"{command[0]} did not end within {_LONGEST} s") from None
        except BaseException:
            _kill(process)
            raise
    took = report.read_text().split() if report.exists() else ["-1"]
    if took[0] != "0":
        raise Failed(f"{command[0]} ended with {took[0]}:\n{_end(output)}")
    # Linux counts ru_maxrss in KiB.
    return Run(seconds=float(took[1]), cpu=float(took[2]), peak=int(took[3]) * 1024)


def killed(command: Sequence[str], *, written: int, output: Path) -> None:
    """Run a command until it has handed so many bytes to write calls, and kill it as the kernel does when memory is short.

    Raises Failed when it ends before, or does not come so far.
    """
    give_up = time.monotonic() + _LONGEST
    with output.open("wb") as file:
        process = _started(command, file.fileno())
        try:
            while _written(process.pid) < written:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise Failed(f"{command[0]} was not at {written} bytes in time to be killed:\n{_end(output)}")
                time.sleep(0.002)
        finally:
            _kill(process)


def _started(command: Sequence[str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With everything that it started: its session is its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _written(pid: int) -> int:
    """proc_pid_io(5), wchar."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("wchar:")), 0)


def _end(output: Path) -> str:
    return output.read_text(errors="replace")[-2000:]


@contextmanager
def simulator(world: str, *options: str) -> Iterator[dict[str, str]]:
    """A simulated GitLab in a process of its own: its `url`, `token` and `project`."""
    command = [sys.executable, "-m", "artifact_sync.simulator", "--world", world, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            ready: dict[str, str] = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.terminate()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until a process listens there. Raises Failed when it ends instead, or takes too long."""
    give_up = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Failed(f"{process.args!r} does not listen on port {port}")

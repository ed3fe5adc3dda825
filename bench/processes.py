"""Processes that are measured, and the simulated GitLab beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Failed", "Run", "installed", "measure", "simulator"]


class Failed(Exception):
    """A measured command ended with another exit code than 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a process took: seconds from start to end, CPU seconds, and the peak of its resident memory in bytes."""

    seconds: float
    cpu: float
    peak: int


def installed() -> str:
    """The command beside this interpreter."""
    return str(Path(sys.executable).with_name("artifact-sync"))


def measure(command: Sequence[str], *, output: Path) -> Run:
    """Run a command to its end, its output in a file.

    Raises Failed with the end of the output.
    """
    with output.open("wb") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        # wait4 gives the usage of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        end = output.read_text(errors="replace")[-2000:]
        raise Failed(f"{command[0]} ended with {process.returncode}:\n{end}")
    # Linux counts ru_maxrss in KiB.
    return Run(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss * 1024)


@contextmanager
def simulator(world: str) -> Iterator[dict[str, str]]:
    """A simulated GitLab in a process of its own: its `url`, `token` and `project`."""
    command = [sys.executable, "-m", "artifact_sync.simulator", "--world", world]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            ready: dict[str, str] = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.terminate()

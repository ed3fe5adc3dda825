"""One process works on a store, and the others learn which."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from artifact_sync.errors import StoreLocked
from artifact_sync.store import LocalStore

HOLD = """
import asyncio, sys
from pathlib import Path
from artifact_sync.errors import StoreLocked
from artifact_sync.store import LocalStore

async def main():
    try:
        async with LocalStore.open(Path(sys.argv[2])):
            print("held", flush=True)
            sys.stdin.read()
    except StoreLocked as error:
        print(f"{error} {error.hint} {error.exit_code}", flush=True)

asyncio.run(main())
"""


def start(path: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that holds the store until its standard input ends; and what it said."""
    process = launch(path)
    return process, first_line(process)


def launch(path: Path) -> subprocess.Popen[str]:
    """The process alone."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, "run", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """What it says once it holds the store, or does not get it."""
    assert process.stdout is not None
    return process.stdout.readline()


def stop(process: subprocess.Popen[str]) -> None:
    """End it in order."""
    process.communicate()
    assert process.returncode == 0


async def test_the_second_process_says_who_holds_the_store(tmp_path):
    """By process, host, verb and time; with exit code 4."""
    first, said = start(tmp_path)
    assert said == "held\n"
    second, said = start(tmp_path)
    assert f"process {first.pid} on {socket.gethostname()} (-c run), since 20" in said
    assert said.endswith(" 4\n")
    with pytest.raises(StoreLocked, match=f"process {first.pid} "):
        async with LocalStore.open(tmp_path):
            pass
    stop(second)
    stop(first)
    third, said = start(tmp_path)
    assert said == "held\n"
    stop(third)


async def test_a_killed_holder_holds_nothing(tmp_path):
    """The kernel gives its lock up; the file stays, with the next holder's name in it."""
    first, _ = start(tmp_path)
    inode = (tmp_path / ".lock").stat().st_ino
    first.kill()
    first.communicate()
    async with LocalStore.open(tmp_path):
        holder = json.loads((tmp_path / ".lock").read_text())
        assert holder["pid"] == os.getpid()
        with pytest.raises(StoreLocked, match=f"process {os.getpid()} "):
            async with LocalStore.open(tmp_path):
                pass
    assert (tmp_path / ".lock").stat().st_ino == inode


def test_of_eight_processes_one_wins(tmp_path):
    """All others name it, whatever an earlier holder left in the file."""
    (tmp_path / ".lock").write_text(
        json.dumps({"pid": 999999999, "host": socket.gethostname(), "since": "then", "command": "run"}) + "\n" * 500
    )
    processes = [launch(tmp_path) for _ in range(8)]
    said = [first_line(process) for process in processes]
    winners = [process.pid for process, line in zip(processes, said, strict=True) if line == "held\n"]
    assert len(winners) == 1
    assert sum(f"process {winners[0]} on" in line for line in said) == 7
    for process in processes:
        stop(process)

"""The daemon as a service: its log as it grows, and a service manager that it tells of itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio import sleep, to_thread

from tests.acceptance.harness import COMMAND, environment

__all__ = ["Manager", "Running", "launched", "managing", "reached", "running"]


async def reached(holds: Callable[[], Any], *, within: float = 30.0) -> Any:
    """Wait until it holds; what it then is. Raises TimeoutError."""
    end = time.monotonic() + within
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError
        await sleep(0.02)
    return found


@dataclass(frozen=True)
class Running:
    """`artifact-sync run`, with its log as JSON lines in a file."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every whole line so far."""
        lines = self.output.read_text(errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.log if line["event"] == event]

    def hang_up(self) -> None:
        """Ask it to read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    async def reloaded(self, times: int = 1) -> dict[str, Any]:
        """The line of its last reload, once it has reloaded so often."""
        await reached(lambda: len(self.said("config.reloaded")) >= times)
        return self.said("config.reloaded")[-1]

    async def ended(self) -> int:
        """Its exit code."""
        return int(await to_thread.run_sync(lambda: self.process.wait(timeout=20)))


def launched(folder: Path, *, stdin: int = subprocess.DEVNULL, env: Mapping[str, str] | None = None) -> Running:
    """The daemon in the folder, whose configuration has the log as JSON. Nobody ends it."""
    output = folder / "run.log"
    with output.open("ab") as file:
        process = subprocess.Popen(
            [COMMAND, "run"], cwd=folder, env=environment(env), stdin=stdin, stdout=file, stderr=file
        )
    return Running(process, output)


@asynccontextmanager
async def running(folder: Path, *, env: Mapping[str, str] | None = None) -> AsyncIterator[Running]:
    """As ``launched``, started, and ended by SIGTERM if it runs still."""
    made = launched(folder, env=env)
    process = made.process
    try:
        await reached(lambda: process.poll() is not None or made.said("daemon.started"))
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            await made.ended()
        finally:
            process.kill()


@dataclass
class Manager:
    """What was told, one mapping for each datagram, in order."""

    address: str
    told: list[dict[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Of every datagram that has the name."""
        return [each[name] for each in tuple(self.told) if name in each]

    def env(self, **more: str) -> dict[str, str]:
        """What a service gets from its manager."""
        return {"NOTIFY_SOCKET": self.address, **more}


@contextmanager
def managing(folder: Path, *, abstract: bool = False) -> Iterator[Manager]:
    """A service manager at a path, or at an abstract address."""
    name = f"artifact-sync-test-{os.getpid()}-{folder.name}"
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}" if abstract else path)
        made = Manager(f"@{name}" if abstract else path)

        def listen() -> None:
            while datagram := channel.recv(65536):
                made.told.append(dict(line.split("=", 1) for line in datagram.decode().split("\n")))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield made
        finally:
            # An empty datagram is the end.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", f"\0{name}" if abstract else path)
            listener.join(5)

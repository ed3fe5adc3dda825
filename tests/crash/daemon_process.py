"""The daemon under test as a process: traced with a fault at a chosen call, or plainly started."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.acceptance.harness import environment
from tests.crash.installation import REPOSITORY, Installation

__all__ = ["Fault", "Outcome", "Place", "Zygote", "plain_start", "zygote"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one run works: its store and its state may lie on filesystems of their own."""

    folder: Path
    store: Path
    state: Path

    @classmethod
    def below(cls, folder: Path, *, state: Path | None = None) -> Place:
        """Store and state in one folder, or the state elsewhere."""
        return cls(folder=folder, store=folder / "mirror", state=(state or folder) / "state" / "state.db")

    @property
    def roots(self) -> list[str]:
        """Calls on what lies below these count."""
        return [str(self.store.resolve()), str(self.state.parent.resolve())]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens at the Nth counted call on store or state: a kill, or an error, once or from then on.

    ``only``: from then on, calls whose name begins so.
    """

    at: int
    how: str
    sticky: bool = False
    only: str = ""

    def __str__(self) -> str:
        return f"{self.how} at call {self.at}{' and on' if self.sticky else ''}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    #: Exit code, negative for a signal; None when it did not end in time.
    code: int | None
    out: str
    err: str
    count: int = 0
    calls: Sequence[str] = ()
    #: Positions of the calls that were failed, or at which it was killed.
    struck: Sequence[int] = ()

    @property
    def hits(self) -> list[str]:
        """Those calls."""
        return [self.calls[position] for position in self.struck]

    @property
    def told(self) -> frozenset[str]:
        """Destinations that it had reported as published."""
        return frozenset(
            event["dest"]
            for event in self.events
            if event["event"] == "transfer_ended" and event["outcome"] == "published"
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it said with --json; a line that a kill has cut is left out."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{") and line.endswith("}")]


@dataclass
class Zygote:
    """Runs the command again and again without importing it each time."""

    orders: IO[str]
    answers: IO[str]
    package: Path
    refused: str
    env: dict[str, str] = field(default_factory=environment)

    def run(
        self,
        *words: str,
        place: Place,
        fault: Fault | None = None,
        kinds: Sequence[str] = ("change",),
        timeout: float = 60,
    ) -> Outcome:
        """The command in the place, with a fault in it or not. ``kinds`` of calls count: change, read, close; none: not traced."""
        out, err = place.folder / ".out", place.folder / ".err"
        order: dict[str, Any] = {
            "argv": words,
            "cwd": str(place.folder),
            "env": self.env,
            "roots": place.roots,
            "out": str(out),
            "err": str(err),
            "kinds": kinds,
            "timeout": timeout,
        }
        if fault is not None:
            order |= {"at": fault.at, "how": fault.how, "sticky": fault.sticky, "only": fault.only}
        self.orders.write(json.dumps(order) + "\n")
        self.orders.flush()
        line = self.answers.readline()
        assert line, "the process that starts the daemon has ended"
        answer = json.loads(line)
        return Outcome(
            code=answer["code"],
            out=out.read_text(errors="replace"),
            err=err.read_text(errors="replace"),
            count=answer["count"],
            calls=answer["calls"],
            struck=answer["hits"],
        )


@contextmanager
def zygote(installation: Installation) -> Iterator[Zygote]:
    """Of one installation; ended behind it."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(installation.python), "-m", "tests.crash.zygote"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=REPOSITORY
    ) as process:
        assert process.stdin
        assert process.stdout
        hello = json.loads(process.stdout.readline())
        assert Path(hello["package"]) == installation.package, hello
        try:
            yield Zygote(process.stdin, process.stdout, Path(hello["package"]), hello["refused"])
        finally:
            process.stdin.close()
            process.wait(30)


def plain_start(
    installation: Installation, *words: str, place: Place, out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes]:
    """The command as a process of its own, not traced."""
    return subprocess.Popen(
        [installation.python, "-m", "artifact_sync", *words],
        cwd=place.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
    )

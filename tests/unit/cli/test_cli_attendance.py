"""When the watchdog is told that there is progress, when more time to start is asked for, and the words of the status."""

import socket
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from artifact_sync.cli.attendance import LONGEST_STEP, attend, start, status_line
from artifact_sync.cli.service_manager import ServiceManager
from artifact_sync.ports import TransferState
from artifact_sync.ports.overview import Backlog
from artifact_sync.ports.steps import stepped, watched
from tests.unit.engine.engine_doubles import DrivenClock, until

WITHIN = 60.0


class Engine:
    """Answers as it is told."""

    def __init__(self, clock: DrivenClock) -> None:
        self.means = SimpleNamespace(clock=clock)
        self.still = 0.0
        self.asked = 0
        self.answers = anyio.Event()
        self.answers.set()

    async def pulse(self) -> float:
        """After a while, perhaps."""
        self.asked += 1
        await self.answers.wait()
        return self.still


class Overview:
    """Of nothing."""

    async def backlog(self) -> dict[TransferState, Backlog]:
        """None."""
        return {}

    async def at_risk(self, now: object, within: object) -> tuple[int, ...]:
        """None."""
        return (0,)


class Listener:
    """A manager's socket."""

    def __init__(self, path: str) -> None:
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.channel.bind(path)
        self.service = ServiceManager({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(int(WITHIN * 1_000_000))})
        self.told: list[str] = []

    def count(self, word: str) -> int:
        """Datagrams that begin so."""
        while True:
            try:
                self.told.append(self.channel.recv(1 << 16).decode())
            except BlockingIOError:
                return sum(each.startswith(word) for each in self.told)


@pytest.fixture
def listener(tmp_path):
    """One at a path."""
    made = Listener(str(tmp_path / "notify"))
    yield made
    made.channel.close()


async def passed(clock: DrivenClock, seconds: float, listener: Listener) -> None:
    """Let so much time pass in small steps, in which everybody does what is due, and the manager reads what it is told."""
    for _ in range(int(seconds)):
        clock.advance(1.0)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        listener.count("")


async def test_the_watchdog_is_told_as_long_as_there_is_progress(listener):
    """More than twice in its time; not while the state hangs, nor while a worker stands still; and again after that."""
    clock = DrivenClock()
    engine = Engine(clock)
    daemon: Any = SimpleNamespace(
        engine=engine,
        overview=Overview(),
        settings=SimpleNamespace(gitlab=SimpleNamespace(url="https://gitlab.example.com")),
    )
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            group.start_soon(attend, listener.service, daemon, lambda: ())
            await passed(clock, 2 * WITHIN, listener)
            assert listener.count("WATCHDOG=1") >= 6

            engine.answers = anyio.Event()
            await passed(clock, WITHIN, listener)
            heard = listener.count("WATCHDOG=1")
            await passed(clock, 3 * WITHIN, listener)
            assert listener.count("WATCHDOG=1") == heard
            engine.answers.set()
            await passed(clock, WITHIN, listener)
            assert listener.count("WATCHDOG=1") > heard

            engine.still = LONGEST_STEP + 1
            await passed(clock, WITHIN, listener)
            heard = listener.count("WATCHDOG=1")
            await passed(clock, 3 * WITHIN, listener)
            assert listener.count("WATCHDOG=1") == heard
            engine.still = LONGEST_STEP - 1
            await passed(clock, WITHIN, listener)
            assert listener.count("WATCHDOG=1") > heard
            group.cancel_scope.cancel()
    assert [line["reason"] for line in logs] == ["the state does not answer", "a worker makes no step"]


async def test_a_start_is_given_time_as_long_as_it_makes_steps(listener):
    """Hours of recovery, step by step; a start that stands still is left to the manager's own limit."""
    clock = DrivenClock()
    started = anyio.Event()
    with watched(clock) as steps:
        async with anyio.create_task_group() as group:
            group.start_soon(start, listener.service, steps, started)
            for _ in range(30):
                await passed(clock, 100, listener)
                stepped()
            asked = listener.count("EXTEND_TIMEOUT_USEC=60000000")
            assert asked > 100
            await passed(clock, 700, listener)
            asked = listener.count("EXTEND_TIMEOUT_USEC")
            await passed(clock, 700, listener)
            assert listener.count("EXTEND_TIMEOUT_USEC") == asked


async def test_a_start_that_has_ended_asks_for_nothing_more(listener):
    """It would take the end of the start for its own."""
    clock = DrivenClock()
    started = anyio.Event()
    with watched(clock) as steps:
        async with anyio.create_task_group() as group:
            group.start_soon(start, listener.service, steps, started)
            await until(lambda: listener.count("EXTEND") == 1)
            started.set()
    assert listener.count("EXTEND") == 1


def test_the_status_says_what_is_mirrored_what_waits_and_what_may_be_lost():
    """And before that why a configuration was refused."""
    backlog = {
        TransferState.PUBLISHED: Backlog(count=1200, bytes=3 << 30),
        TransferState.WANTED: Backlog(count=7),
        TransferState.LOST: Backlog(count=1),
        TransferState.DOWNLOADING: Backlog(count=2),
        TransferState.FAILED: Backlog(count=3),
    }
    line = status_line("https://gitlab.example.com", backlog, 4, ())
    assert line == (
        "mirrors https://gitlab.example.com: 1,200 publications, 3.0 GiB; 8 waiting, 2 under way, 3 failed;"
        " 4 expire within a day"
    )
    refused = status_line("https://gitlab.example.com", {}, 0, ["c.yaml:1:2: a", "c.yaml:3:4: b"])
    assert refused.startswith(
        "reload refused, the former configuration stays: c.yaml:1:2: a | c.yaml:3:4: b -- mirrors"
    )

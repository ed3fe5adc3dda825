"""What the service manager is told while the daemon starts and works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import anyio
import structlog

from artifact_sync.app import Daemon
from artifact_sync.cli.service_manager import ServiceManager
from artifact_sync.cli.words import count, size
from artifact_sync.engine.bell import rung
from artifact_sync.errors import NoSpace
from artifact_sync.ports import TransferState
from artifact_sync.ports.overview import Backlog
from artifact_sync.ports.steps import Steps

__all__ = ["LONGEST_STEP", "attend", "start", "status_line"]

log = structlog.get_logger()

#: Seconds that one step of a worker may take. The waits that may be longer are no step (``ports.steps``): a place in the budget,
#: GitLab's Retry-After, the bandwidth's limit, and threads that read a whole archive. Everything else ends within minutes.
LONGEST_STEP = 3600.0
#: Of the watchdog's time: how often it is told, and how old the state's last answer may be.
_PARTS, _ANSWERED = 4, 0.5
#: Seconds: between two requests for more time to start, what each asks for, and how long the start may stand still.
_EXTENDED, _MORE, _STANDSTILL = 20.0, 60.0, 600.0
#: Seconds between two looks for the status, and how many times as long as a look took at the least.
_LOOK, _EASE = 5.0, 50
_RISK = timedelta(days=1)


async def start(manager: ServiceManager, steps: Steps, started: anyio.Event) -> None:
    """Ask for more time until it has started, as long as the start makes steps: systemd gives up one that is silent."""
    if not manager.listens:
        return
    manager.status("starting: finishes what the last run left")
    while not started.is_set() and steps.still < _STANDSTILL:
        manager.extend(_MORE)
        await rung(started, _EXTENDED, steps.clock)


async def attend(manager: ServiceManager, daemon: Daemon, refusal: Callable[[], Sequence[str]]) -> None:
    """Tell the watchdog that there is progress, and the status, until cancelled. Raises StateError."""
    async with anyio.create_task_group() as group:
        if manager.watchdog is not None:
            group.start_soon(_Watch(manager, daemon, manager.watchdog).run)
        if manager.listens:
            group.start_soon(_tell_status, manager, daemon, refusal)


class _Watch:
    """Proof of life: this loop turns, the state answers, and every worker makes steps."""

    def __init__(self, manager: ServiceManager, daemon: Daemon, within: float) -> None:
        self._manager = manager
        self._engine = daemon.engine
        self._clock = daemon.engine.means.clock
        self._within = within
        self._answered_at = self._clock.monotonic()
        self._still = 0.0
        self._withheld = ""

    async def run(self) -> None:
        """Until cancelled. Raises StateError."""
        async with anyio.create_task_group() as group:
            # Apart: whoever waits for a state that hangs says nothing more.
            group.start_soon(self._ask)
            while True:
                self._tell(self._trouble())
                await self._clock.sleep(self._within / _PARTS)

    async def _ask(self) -> None:
        while True:
            self._still = await self._engine.pulse()
            self._answered_at = self._clock.monotonic()
            await self._clock.sleep(self._within / _PARTS)

    def _trouble(self) -> str:
        silence = self._clock.monotonic() - self._answered_at
        if silence > self._within * _ANSWERED:
            return "the state does not answer"
        return "a worker makes no step" if self._still > LONGEST_STEP else ""

    def _tell(self, trouble: str) -> None:
        if not trouble:
            self._manager.alive()
        elif trouble != self._withheld:
            log.error("watchdog.withheld", reason=trouble)
        self._withheld = trouble


async def _tell_status(manager: ServiceManager, daemon: Daemon, refusal: Callable[[], Sequence[str]]) -> None:
    clock = daemon.engine.means.clock
    while True:
        began = clock.monotonic()
        try:
            backlog = await daemon.overview.backlog()
            (risk,) = await daemon.overview.at_risk(clock.now(), [_RISK])
        except NoSpace:
            manager.status("the disk of the state is full")
        else:
            manager.status(status_line(daemon.settings.gitlab.url, backlog, risk, refusal()))
        await clock.sleep(max(_LOOK, _EASE * (clock.monotonic() - began)))


def status_line(url: str, backlog: Mapping[TransferState, Backlog], risk: int, refusal: Sequence[str]) -> str:
    """What is mirrored, what waits, and what may be lost; before it, what is wrong with a configuration that was refused."""
    mirrored = backlog.get(TransferState.PUBLISHED, Backlog())
    waiting = sum(backlog.get(state, Backlog()).count for state in (TransferState.WANTED, TransferState.LOST))
    running = sum(backlog.get(state, Backlog()).count for state in (TransferState.DOWNLOADING, TransferState.STAGED))
    failed = backlog.get(TransferState.FAILED, Backlog()).count
    parts = [
        f"mirrors {url}: {count(mirrored.count, 'publication')}, {size(mirrored.bytes)}",
        f"{waiting:,} waiting, {running:,} under way, {failed:,} failed",
        f"{risk:,} expire within a day" if risk else "nothing at risk",
    ]
    line = "; ".join(parts)
    if not refusal:
        return line
    return f"reload refused, the former configuration stays: {' | '.join(refusal)} -- {line}"

"""SIGHUP for the daemon: the configuration is read again, and what changed is taken over while transfers go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
import structlog
from anyio import to_thread

from artifact_sync.app import Daemon
from artifact_sync.cli.service_manager import ServiceManager
from artifact_sync.config import ConfigProblems, Settings
from artifact_sync.config.changes import change
from artifact_sync.errors import ConfigError, NoSpace, UsageError
from artifact_sync.ports import Trouble
from artifact_sync.serving import Renewal

__all__ = ["Reloading"]

log = structlog.get_logger()

#: Of what `status` and the dashboard tell.
_SUBJECT = "configuration"
_RESTART = "They take effect at the next start; restart the daemon for them: transfers that it breaks off are resumed."
_STAYS = "The former configuration stays in effect. Correct the file and send SIGHUP again; `artifact-sync check --offline` says whether it is right."


class Reloading:
    """Reads the configuration again on request. Signals that come meanwhile are one more request together."""

    def __init__(self, read: Callable[[], Settings], manager: ServiceManager) -> None:
        """``read`` raises ConfigError, UsageError. From here on SIGHUP does not end the process."""
        self._read = read
        self._manager = manager
        self._wanted = False
        #: Set by a request, where one is waited for.
        self._called: anyio.Event | None = None
        # On a terminal SIGHUP may also mean that it is gone, and so does everybody who started something on it.
        self._terminals = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr) if _on_a_terminal(stream)]
        #: Why the last request was refused; empty where it was not.
        self.refusal: Sequence[str] = ()
        signal.signal(signal.SIGHUP, lambda *_: self._request())

    def hangup(self) -> bool:
        """Whether this signal is taken as a request; else the terminal is gone."""
        if any(not os.isatty(terminal) for terminal in self._terminals):
            return False
        self._request()
        return True

    def _request(self) -> None:
        self._wanted = True
        if self._called is not None:
            self._called.set()

    async def run(self, daemon: Daemon, renewals: Sequence[Renewal]) -> None:
        """Take over what is asked for, one request after another, until cancelled. Raises StateError."""
        while True:
            self._called = anyio.Event()
            if not self._wanted:
                await self._called.wait()
            self._wanted = False
            self._manager.reloading()
            await self._reload(daemon, renewals)
            self._manager.ready()

    async def _reload(self, daemon: Daemon, renewals: Sequence[Renewal]) -> None:
        wanted = await to_thread.run_sync(self._wanted_settings)
        if self.refusal or wanted is None:
            for problem in self.refusal:
                log.error("config.wrong", problem=problem)
            log.error("config.refused", problems=len(self.refusal), hint=_STAYS)
            state, now = daemon.engine.state, daemon.engine.means.clock.now()
            error = f"not reloaded: {'; '.join(self.refusal)}"
            with suppress(NoSpace):
                await state.note_trouble(Trouble(subject=_SUBJECT, error=error, hint=_STAYS, since=now))
            return
        with suppress(NoSpace):
            await daemon.engine.state.clear_trouble(_SUBJECT)
        made = change(daemon.settings, wanted)
        if made.applied:
            await daemon.renew(made.effective)
            for renew in renewals:
                renew(made.effective)
        if made.waiting:
            log.warning("config.waits", keys=list(made.waiting), hint=_RESTART)
        log.info("config.reloaded", applied=list(made.applied), rules=[rule.name for rule in made.effective.rules])

    def _wanted_settings(self) -> Settings | None:
        """What the file says now; None where it is wrong, and the refusal says how."""
        self.refusal = ()
        try:
            return self._read()
        except (ConfigError, UsageError) as error:
            problems = error.problems if isinstance(error, ConfigProblems) else (error,)
            self.refusal = [str(problem) for problem in problems]
            return None


def _on_a_terminal(stream: object) -> bool:
    # A stream that was closed before the start is None.
    return stream is not None and hasattr(stream, "isatty") and stream.isatty()

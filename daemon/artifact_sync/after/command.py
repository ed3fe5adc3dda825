"""Commands of this machine: in a process group of their own, with a clean environment, and never for longer than allowed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from anyio import CancelScope, create_task_group, move_on_after, open_process
from anyio.abc import Process

from artifact_sync.after.tail import Tail
from artifact_sync.errors import HookFailed

__all__ = ["LocalCommands"]

#: What a command gets of the daemon's environment. Everything else may be a secret, or steer what it was not meant for.
_PASSED = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_LOCALE = "LC_"
#: Seconds between SIGTERM and SIGKILL for a command that the end of the daemon ends.
_AT_THE_END = 1.0
#: Seconds that what a command left behind may go on writing.
_LINGER = 1.0
#: Seconds for a killed process to be gone: one that waits for a disk is gone when that answers.
_GONE = 5.0


class LocalCommands:
    """Implements ``ports.Commands``.

    ``timeout`` in seconds; ``mask`` takes secrets out of what a command says; ``withheld`` are variables that are not
    passed on whatever they are called, because a token is read from them; ``patience`` is between SIGTERM and SIGKILL for
    a command that took too long.
    """

    def __init__(
        self,
        *,
        timeout: float,
        mask: Callable[[str], str] = str,
        withheld: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
        patience: float = 5.0,
    ) -> None:
        self._timeout = timeout
        self._patience = patience
        self._mask = mask
        self._withheld = frozenset(withheld)
        self._environ = os.environ if environ is None else environ

    async def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """As the port says."""
        program = arguments[0]
        reading, writing = os.pipe()
        try:
            os.set_blocking(reading, False)
            try:
                process = await self._started(arguments, environment, writing)
            finally:
                os.close(writing)
            tail = Tail(reading)
            async with create_task_group() as group:
                group.start_soon(tail.read)
                code = await self._waited(process, tail)
                group.cancel_scope.cancel()
        finally:
            os.close(reading)
        words = tail.words(self._mask)
        if code is None:
            hint = (
                "It was ended with everything that it had started. Let it be quicker, or write a longer hooks.timeout."
            )
            raise HookFailed(_said(f"{program} took longer than {self._timeout:g} s", words), hint=hint)
        if code:
            hint = "See what it said; it is the command of the rule's after.command."
            raise HookFailed(_said(f"{program} {_how(code)}", words), hint=hint)
        return words

    async def _started(self, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Process:
        try:
            # A session of its own: Ctrl-C in a terminal is for the daemon, and its group is ended as one.
            return await open_process(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=self._inherited() | dict(environment),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            # ValueError: a NUL, or what cannot be encoded, in a name that GitLab sent.
            why = getattr(error, "strerror", None) or str(error)
            hint = (
                "Check that it is there, executable for the user that this runs as, and of a folder that the service may"
                " execute from (ExecPaths= in the systemd unit)."
            )
            raise HookFailed(f"{arguments[0]} cannot be started: {why}", hint=hint) from error

    def _inherited(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self._environ.items()
            if (name in _PASSED or name.startswith(_LOCALE)) and name not in self._withheld
        }

    async def _waited(self, process: Process, tail: Tail) -> int | None:
        """Its exit code; None when it took too long. Whatever happens, nothing of it runs on."""
        async with _ended_group(process):
            with move_on_after(self._timeout):
                code = await process.wait()
                with move_on_after(_LINGER):
                    await tail.ended.wait()
                    return code
                await _end(process.pid, tail, _LINGER)
                return code
            await _end(process.pid, process, self._patience)
            return None


@asynccontextmanager
async def _ended_group(process: Process) -> AsyncIterator[None]:
    """At the end the process is gone; within a moment also when the daemon ends."""
    try:
        yield
    finally:
        with CancelScope(shield=True):
            if process.returncode is None:
                await _end(process.pid, process, _AT_THE_END)
            with move_on_after(_GONE):
                await process.aclose()


async def _end(group: int, what: Process | Tail, patience: float) -> None:
    """Ask all of a process group to end, and end what does not. ``what`` tells when that has happened."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        with move_on_after(patience):
            await (what.wait() if isinstance(what, Process) else what.ended.wait())
            if isinstance(what, Tail):
                return


def _how(code: int) -> str:
    if code > 0:
        return f"ended with code {code}"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"


def _said(what: str, words: str) -> str:
    return f"{what}: {words}" if words else what

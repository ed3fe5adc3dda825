"""A process that has imported the daemon and forks it for each order, traced, with one fault at a chosen system call.

``python -m tests.crash.zygote`` reads one order a line from standard input and answers each with a line. What runs is the
command as installed, from its ``main`` on; only the import of its modules, most of a short run's time, is done once.
Not a test module.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.crash import ptrace

#: Events of waitpid's status: the seccomp filter's stop, and those in which a new process or thread is announced.
_SECCOMP = 7
#: A child's thread is waited for too (__WALL).
_WALL = 0x40000000
#: The exit code where the command's main did not end its process, as it does.
_OWN_FAULT = 70
#: Calls that are kept for the report.
_KEPT = 4000


class _Late(Exception):
    """The time is up."""


class Trace:
    """One run of the daemon."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.roots = tuple(order["roots"])
        self.kinds = frozenset(order["kinds"])
        self.at: int = order.get("at", 0)
        self.how: str = order.get("how", "")
        self.sticky: bool = order.get("sticky", False)
        self.only: str = order.get("only", "")
        self.main = 0
        self.calls: list[str] = []
        #: Positions in the calls.
        self.hits: list[int] = []
        self.killed = False
        self.alive: set[int] = set()

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Fork, follow to the end, and report."""
        self.main = pid = os.fork()
        if pid == 0:
            _become_daemon(order)
        self.alive.add(pid)
        if self.kinds:
            _, status = os.waitpid(pid, 0)
            assert os.WIFSTOPPED(status), "the traced process did not stop"
            ptrace.set_options(pid)
            ptrace.cont(pid)
        signal.setitimer(signal.ITIMER_REAL, order.get("timeout", 60.0))
        ended: int | None = None
        late = False
        try:
            ended = self._follow()
        except _Late:
            late = True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._bury()
        return {
            "code": None if late or ended is None else os.waitstatus_to_exitcode(ended),
            "late": late,
            "count": len(self.calls),
            "calls": self.calls[:_KEPT],
            "hits": [hit for hit in self.hits if hit < _KEPT],
        }

    def _follow(self) -> int:
        while True:
            tid, status = os.waitpid(-1, _WALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self.alive.discard(tid)
                if tid == self.main:
                    return status
                continue
            self.alive.add(tid)
            event, number = status >> 16, os.WSTOPSIG(status)
            if event == _SECCOMP:
                self._at_call(tid)
            elif event or number == signal.SIGSTOP:
                ptrace.cont(tid)
            else:
                ptrace.cont(tid, number)

    def _at_call(self, tid: int) -> None:
        call = None if self.killed else ptrace.call_of(tid)
        if call is not None and self._watched(call):
            self.calls.append(f"{call.name} {' '.join(call.paths)}")
            number = len(self.calls)
            if self.at and (number == self.at or (self.sticky and number > self.at and self._again(call))):
                self.hits.append(number - 1)
                if self.how == "kill":
                    self.killed = True
                    # The whole daemon, with what it has started, at the entry of this call.
                    self._kill()
                    return
                ptrace.fail(tid, getattr(errno, self.how))
        ptrace.cont(tid)

    def _watched(self, call: ptrace.Call) -> bool:
        if call.kind not in self.kinds:
            return False
        return any(path == root or path.startswith(f"{root}/") for path in call.paths for root in self.roots)

    def _again(self, call: ptrace.Call) -> bool:
        # A disk that is broken or full does not keep anybody from closing a file.
        return call.kind != "close" and call.name.startswith(self.only)

    def _kill(self) -> None:
        for tid in (self.main, *self.alive):
            try:
                os.kill(tid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _bury(self) -> None:
        """Nothing of it is left when this returns."""
        self._kill()
        while True:
            try:
                tid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return
            if os.WIFSTOPPED(status):
                ptrace.cont(tid, signal.SIGKILL)


def _become_daemon(order: dict[str, Any]) -> None:
    """In the child: the command, as its process."""
    try:
        os.setsid()
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.argv = ["artifact-sync", *order["argv"]]
        for fd, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(opened, fd)
            os.close(opened)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if order["kinds"]:
            ptrace.trace_me(order["kinds"])
        import_module("artifact_sync.__main__").main()
    except BaseException:  # noqa: BLE001 - the fork must not go on as the zygote; the traceback is what the caller looks for
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(_OWN_FAULT)


def _late(*_: object) -> None:
    raise _Late


def main() -> None:
    """Serve until standard input ends."""
    for name in ("artifact_sync.cli", "artifact_sync.__main__", "artifact_sync.app"):
        import_module(name)
    assert threading.active_count() == 1, "an imported module has started a thread: forking is not safe"
    signal.signal(signal.SIGALRM, _late)
    where = Path(import_module("artifact_sync").__file__ or "").parent
    refused = ptrace.available()
    sys.stdout.write(json.dumps({"package": str(where), "refused": refused}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        answer = Trace(order).run(order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

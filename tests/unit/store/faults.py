"""A process that does something to a store, and is stopped or fails at a chosen call of the operating system.

It reads one order a line from standard input, forks for each, and answers with one line. It imports no event loop and starts
no thread, so that forking is safe. Not a test module.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from artifact_sync.errors import ArtifactSyncError

#: Every call that the store makes, and those that shutil.rmtree makes for it.
CALLS = [
    "close",
    "dup",
    "fchmod",
    "fdopen",
    "fstat",
    "fsync",
    "ftruncate",
    "link",
    "listdir",
    "lseek",
    "lstat",
    "mkdir",
    "open",
    "pread",
    "read",
    "readlink",
    "rename",
    "rmdir",
    "scandir",
    "stat",
    "symlink",
    "unlink",
    "write",
]
NAMED = {"link", "mkdir", "open", "rename", "rmdir", "symlink", "unlink"}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How it is disturbed, and in which store. ``how`` is kill, an errno's name, or trace."""

    store: str
    at: int = 0
    how: str = "trace"
    sticky: bool = False
    #: False for a filesystem without them.
    links: bool = True


Given = TypeVar("Given", bound=Order)


class Fault:
    """Stands between the program and the operating system."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.count = 0
        self.trace: list[str] = []
        self.armed = True

    def wrap(self, name: str) -> None:
        """Let every call of this function pass here."""
        real = getattr(os, name)

        def call(*args: Any, **keywords: Any) -> Any:
            if not self.armed:
                return real(*args, **keywords)
            self.count += 1
            hit = self.count == self.order.at or (self.order.sticky and self.count > self.order.at > 0)
            if hit:
                self._strike(name, real, args)
            if name == "link" and not self.order.links:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
            result = real(*args, **keywords)
            self._note(name, args, keywords)
            return result

        setattr(os, name, call)

    def _strike(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self.order.how == "kill":
            if name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            os._exit(137)
        if name == "close":
            # Linux gives the descriptor up whatever it answers.
            real(*args)
        code = getattr(errno, self.order.how)
        raise OSError(code, os.strerror(code))

    def _note(self, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self.order.how != "trace":
            return
        if name in {"fsync", "write", "fchmod"}:
            self.trace.append(f"{name} {_path(args[0])}")
        elif name in NAMED:
            at = keywords.get("dir_fd", keywords.get("src_dir_fd"))
            to = keywords.get("dst_dir_fd")
            words = [name, f"{_path(at)}/{args[0]}"] + ([f"{_path(to)}/{args[1]}"] if to is not None else [])
            self.trace.append(" ".join(words))


def _path(fd: int | None) -> str:
    return _readlink(f"/proc/self/fd/{fd}") if fd is not None else ""


_readlink = os.readlink


def disturbed(order: Order, work: Callable[[], object]) -> dict[str, Any]:
    """Do it once; what came of it."""
    fault = Fault(order)
    for name in CALLS:
        fault.wrap(name)
    try:
        work()
    except ArtifactSyncError as error:
        result = type(error).__name__
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
        result = f"untyped {error!r}"
    else:
        result = "done"
    fault.armed = False
    return {"result": result, "calls": fault.count, "trace": fault.trace}


def serve(kind: type[Given], carry_out: Callable[[Given], dict[str, Any]]) -> None:
    """Carry out orders until standard input ends."""
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=kind)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            answer = json.dumps(carry_out(order)).encode()
            while answer:
                answer = answer[os.write(writing, answer) :]
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            answer = stream.read()
        _, status = os.waitpid(pid, 0)
        killed = os.waitstatus_to_exitcode(status) == 137
        sys.stdout.buffer.write((b'{"result":"killed"}' if killed else answer or b'{"result":"died"}') + b"\n")
        sys.stdout.buffer.flush()

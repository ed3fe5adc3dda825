"""Stop a process and all its threads and children at chosen system calls: ptrace(2) and a seccomp filter.

strace(1) can inject faults too, but its ``when=N`` counts the calls of each thread for itself, so that in a program with
threads most calls are nobody's Nth. Here one counter runs over all threads, and only calls on chosen folders count.
Linux on x86_64 alone: the registers and the numbers of calls are this machine's.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CALLS", "KINDS", "Call", "available", "call_of", "cont", "fail", "set_options", "trace_me"]

_TRACEME, _CONT, _GETREGS, _SETREGS, _SETOPTIONS = 0, 7, 12, 13, 0x4200
#: Clone, fork, vfork and exec follow; seccomp stops; everything is killed when the tracer ends (PTRACE_O_EXITKILL).
_OPTIONS = 0x8 | 0x2 | 0x4 | 0x10 | 0x80 | 0x100000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
#: Classic BPF over struct seccomp_data: load a word, jump if equal, jump if any bit is set, return.
_LOAD, _EQUAL, _ANY, _RETURN = 0x20, 0x15, 0x45, 0x06
_AT_FDCWD = -100
_LONGEST_PATH = 4096

#: struct user_regs_struct.
_REGISTERS = (
    *(
        "r15",
        "r14",
        "r13",
        "r12",
        "rbp",
        "rbx",
        "r11",
        "r10",
        "r9",
        "r8",
        "rax",
        "rcx",
        "rdx",
        "rsi",
        "rdi",
        "orig_rax",
    ),
    *("rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_LAYOUT = struct.Struct(f"{len(_REGISTERS)}Q")
_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8")

#: Calls by number: name, and where its paths are: "f" a descriptor, "p" a path, "a" a directory's descriptor and a path.
#: A digit is the argument's position.
CALLS = {
    0: ("read", "f0"),
    1: ("write", "f0"),
    2: ("open", "p0"),
    3: ("close", "f0"),
    17: ("pread64", "f0"),
    18: ("pwrite64", "f0"),
    20: ("writev", "f0"),
    74: ("fsync", "f0"),
    75: ("fdatasync", "f0"),
    76: ("truncate", "p0"),
    77: ("ftruncate", "f0"),
    82: ("rename", "p0p1"),
    83: ("mkdir", "p0"),
    84: ("rmdir", "p0"),
    86: ("link", "p0p1"),
    87: ("unlink", "p0"),
    88: ("symlink", "p1"),
    90: ("chmod", "p0"),
    91: ("fchmod", "f0"),
    257: ("openat", "a0"),
    258: ("mkdirat", "a0"),
    263: ("unlinkat", "a0"),
    264: ("renameat", "a0a2"),
    265: ("linkat", "a0a2"),
    266: ("symlinkat", "a1"),
    268: ("fchmodat", "a0"),
    285: ("fallocate", "f0"),
    296: ("pwritev", "f0"),
    306: ("syncfs", "f0"),
    316: ("renameat2", "a0a2"),
    326: ("copy_file_range", "f2"),
    328: ("pwritev2", "f0"),
}
#: What may be done to a file, and what says so in open's flags.
KINDS = ("change", "read", "close")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: The position of open's flags.
_FLAGS = {"open": 1, "openat": 2}

_library = ctypes.CDLL(None, use_errno=True)
_library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_library.ptrace.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Call:
    """A system call at its entry."""

    name: str
    paths: tuple[str, ...]
    #: "change" for what may change what is on disk, "read", or "close".
    kind: str


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> str:
    """Why this does not work here; empty where it does."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"faults at system calls need Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    pid = os.fork()
    if pid == 0:
        try:
            trace_me()
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSTOPPED(status):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return ""
    return "ptrace is not allowed here (a container may need --cap-add SYS_PTRACE)"


def trace_me(kinds: Collection[str] = KINDS) -> None:
    """In the child: be traced by the parent, stop until it goes on, then at every call of these kinds. Raises OSError."""
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), 19)
    _install_filter(kinds)


def set_options(pid: int) -> None:
    """In the parent, at the child's first stop."""
    _ptrace(_SETOPTIONS, pid, data=_OPTIONS)


def cont(tid: int, signal: int = 0) -> None:
    """Let a stopped thread go on. One that was killed meanwhile is no error."""
    with suppress(ProcessLookupError):
        _ptrace(_CONT, tid, data=signal)


def call_of(tid: int) -> Call | None:
    """The call at whose entry the thread is stopped; None when the thread is gone."""
    try:
        registers = _registers(tid)
        number = registers["orig_rax"]
        if number not in CALLS:
            return None
        name, where = CALLS[number]
        values = [registers[register] for register in _ARGUMENTS]
        pairs = [(where[i], int(where[i + 1])) for i in range(0, len(where), 2)]
        paths = tuple(_path(tid, kind, values, position) for kind, position in pairs)
    except (ProcessLookupError, FileNotFoundError):
        return None
    if name in _FLAGS:
        return Call(name, paths, "change" if values[_FLAGS[name]] & _WRITING else "read")
    return Call(name, paths, _kind(name))


def _kind(name: str) -> str:
    return {"read": "read", "pread64": "read", "close": "close"}.get(name, "change")


def fail(tid: int, code: int) -> None:
    """At its entry: let the call not happen, and answer with this errno."""
    registers = _registers(tid)
    registers["orig_rax"] = (1 << 64) - 1
    registers["rax"] = (1 << 64) - code
    buffer = ctypes.create_string_buffer(_LAYOUT.pack(*(registers[name] for name in _REGISTERS)))
    _ptrace(_SETREGS, tid, data=ctypes.addressof(buffer))


def _registers(tid: int) -> dict[str, int]:
    buffer = ctypes.create_string_buffer(_LAYOUT.size)
    _ptrace(_GETREGS, tid, data=ctypes.addressof(buffer))
    return dict(zip(_REGISTERS, _LAYOUT.unpack(buffer.raw), strict=True))


def _path(tid: int, kind: str, values: list[int], position: int) -> str:
    if kind == "f":
        return _of_descriptor(tid, _signed(values[position]))
    at, pointer = (_AT_FDCWD, values[position]) if kind == "p" else (_signed(values[position]), values[position + 1])
    name = _text(tid, pointer)
    if name.startswith("/"):
        return os.path.normpath(name)
    base = Path(f"/proc/{tid}/cwd").readlink() if at == _AT_FDCWD else _of_descriptor(tid, at)
    return os.path.normpath(f"{base}/{name}")


def _signed(value: int) -> int:
    return int(ctypes.c_int(value & 0xFFFFFFFF).value)


def _of_descriptor(tid: int, fd: int) -> str:
    try:
        return str(Path(f"/proc/{tid}/fd/{fd}").readlink())
    except OSError:
        return ""


def _text(tid: int, pointer: int) -> str:
    fd = os.open(f"/proc/{tid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Up to the end of the page first: the next one may not be there.
        data = os.pread(fd, 4096 - pointer % 4096, pointer)
        if b"\0" not in data:
            data += os.pread(fd, _LONGEST_PATH, pointer + len(data))
    except OSError:
        return ""
    finally:
        os.close(fd)
    return os.fsdecode(data.partition(b"\0")[0])


def _install_filter(kinds: Collection[str]) -> None:
    """Stop at the calls of the table; all others cost nothing. https://docs.kernel.org/userspace-api/seccomp_filter.html."""
    program = [(_LOAD, 0, 0, 0)]
    for number, (name, _) in CALLS.items():
        if name in _FLAGS and "read" not in kinds:
            # An interpreter that starts opens hundreds of files to read them: only opening for more is looked at.
            program += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * _FLAGS[name]), (_ANY, 0, 1, _WRITING)]
            program += [(_RETURN, 0, 0, _TRACE), (_RETURN, 0, 0, _ALLOW)]
        elif name in _FLAGS or _kind(name) in kinds:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _TRACE)]
    program.append((_RETURN, 0, 0, _ALLOW))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    loaded = _Program(len(program), code)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)
    _prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(loaded))


def _prctl(option: int, first: int, second: int) -> None:
    if _library.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _ptrace(request: int, pid: int, *, data: int = 0) -> None:
    if _library.ptrace(request, pid, None, data or None) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

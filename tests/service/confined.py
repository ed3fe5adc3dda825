"""Run a program as the unit confines it: ``python confined.py FILE PROGRAM ...``.

FILE has the names of the system calls that are allowed, one a line; every other one is answered with EPERM, as the unit's
SystemCallErrorNumber says. No memory becomes executable after it was writable (MemoryDenyWriteExecute=).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
#: seccomp_init(3).
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_UNKNOWN = -1


def main() -> None:
    """Confine this process and become the program. Raises OSError."""
    allowed = Path(sys.argv[1]).read_text(encoding="ascii").split()
    process = ctypes.CDLL(None, use_errno=True)
    if process.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    # Linux 6.3 has it.
    process.prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    # execve is in @process, so that this process can go on to become another one.
    context = library.seccomp_init(_ERRNO | errno.EPERM)
    for name in allowed:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            # Numbers below that are calls of other architectures, which the library leaves out by itself.
            library.seccomp_rule_add(context, _ALLOW, number, 0)
    if library.seccomp_load(context):
        raise OSError(errno.EINVAL, "seccomp_load")
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

"""Runs a command and writes what it took: `launch.py REPORT COMMAND...`.

The kernel counts the peak of a child's memory from what its parent had when it forked. So commands are started from here,
by an interpreter that has imported next to nothing.
"""

import os
import sys
import time


def main() -> None:
    """Write exit code, seconds, CPU seconds and the peak of the resident memory in KiB."""
    report, *command = sys.argv[1:]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    # wait4 gives the usage of this child and those that it waited for, and of nobody else.
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - started
    with open(report, "w") as file:  # noqa: PTH123 -- pathlib alone is a third of this interpreter's memory
        file.write(f"{os.waitstatus_to_exitcode(status)} {seconds} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")


if __name__ == "__main__":
    main()

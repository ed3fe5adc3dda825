"""Measures the fetch layer beside its peers."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from functools import partial

from bench import cases, parts, tools
from bench.cases import Plan

from artifact_sync import __version__

__all__ = ["CASES", "side_by_side"]

CASES: dict[str, Callable[[Plan], str]] = {
    "one": partial(cases.one, tls=False),
    "tls": partial(cases.one, tls=True),
    "many": cases.many,
    "glob": parts.chosen,
    "kill": parts.resumed,
    "link": cases.linked,
}


def side_by_side(*, size: str, archives: int, rounds: int, only: Sequence[str] = ()) -> str:
    """Measure the cases, and write the section of the results."""
    lacking = tools.provide()
    plan = Plan(size=size, archives=archives, rounds=rounds, lacking=lacking)
    found = []
    for name, case in CASES.items():
        if name not in (only or CASES):
            continue
        if "nginx" in lacking:
            found.append(f"### {name}\n\nLeft out: nginx {lacking['nginx']}.\n")
            continue
        print(f"side by side: {name} ...", flush=True)
        found.append(case(plan))
    return f"{_head(rounds)}\n" + "\n".join(found)


def _head(rounds: int) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    versions = ", ".join(f"{name} {version}" for name, version in tools.versions().items())
    return f"""## Side by side

artifact-sync {__version__} on Python {platform.python_version()}; {versions}.
{os.cpu_count()} CPUs and {memory:.0f} GiB of memory, with the simulator, nginx and the tool on the same machine.

Every tool asks GitLab for each archive with the token, and follows its redirect to the object store. Both are the same nginx,
with the simulator behind it: nginx itself checks the token and answers the requests for archives, for the simulator is slower
than most of the tools, and serves the bytes (sendfile, ranges, strong ETags) out of the page cache; lists come from the
simulator. Each run has a new folder
on the same disk and starts a new process: the start of the interpreter and its imports are in the figures of artifact-sync
and of the python-gitlab script, which streams to disk in blocks of 1 MiB (its default, 1 KiB, is many times slower). What
earlier runs wrote is on the disk before the next starts. artifact-sync makes everything durable before it ends, its state and
the directories too; aria2c calls fsync for each file, without its directory; the others leave that to the kernel.

Seconds and CPU seconds (user and system, with those of child processes) are medians; memory is the highest peak of all runs,
counted from about 8 MiB on, which is what starts the tools has itself. In each of {rounds} rounds all of a table run one after
another, beginning with another one each time. Ratios are of the runs of one round: the median, and in brackets the smallest and
the largest.
"""

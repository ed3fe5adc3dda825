"""The crash laboratory: `make crash`. The real daemon, killed, failed, cut off and starved at every turn, and looked at.

ONLY=T1,T3 runs some of the sweeps; FAULTS=N sets how many kills, errors or cuts a sweep makes, evenly
spread over all calls; more than there are calls is every call. With the usual numbers the rows of what was
run are written into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.crash import mounts, ptrace
from tests.crash.database_faults import database_faults
from tests.crash.full_disk import full, lost_writes
from tests.crash.installation import REPOSITORY
from tests.crash.long_run import long_run
from tests.crash.mutants import MUTANTS
from tests.crash.power import cuts
from tests.crash.scene import Scene, scene
from tests.crash.scrub import scrub
from tests.crash.sweeps import ENOUGH, Found, compound, errors, kills

_RESULTS = Path(__file__).with_name("RESULTS.md")
_SHOWN = 25
#: Where the sweeps worked, which says nothing to a reader.
_WORK = re.compile(r"/\S*artifact-sync-crash-\w+/")
#: Points of a mutant's sweep: enough for each mutant to be caught.
_MUTANT_POINTS = 150


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One row of the table."""

    name: str
    what: str
    #: Faults that it must have injected.
    least: int
    run: Callable[[Scene, int | None], Found]
    mounts: bool = False


SWEEPS = (
    Sweep(name="T1", what="SIGKILL at every changing call", least=106, run=lambda s, n: kills(s, most=n or 160)),
    Sweep(
        name="T2", what="an errno at calls, once and from then on", least=314, run=lambda s, n: errors(s, most=n or 330)
    ),
    Sweep(
        name="T3",
        what="power cut, state on the store's filesystem",
        least=107,
        run=lambda s, n: cuts(s, split=False, most=n or 110),
        mounts=True,
    ),
    Sweep(
        name="T4",
        what="power cut, state on another filesystem",
        least=107,
        run=lambda s, n: cuts(s, split=True, most=n or 110),
        mounts=True,
    ),
    Sweep(
        name="T5", what="SIGKILL, and again during recovery", least=120, run=lambda s, n: compound(s, pairs=n or 120)
    ),
    Sweep(name="T10", what="a full disk (bytes, inodes)", least=30, run=lambda s, _: full(s), mounts=True),
    Sweep(name="T11", what="writes that succeed and are lost", least=3, run=lambda s, _: lost_writes(s), mounts=True),
    Sweep(name="T16", what="files flipped, cut, deleted", least=200, run=lambda s, _: scrub(s)),
    Sweep(
        name="T17",
        what="database flipped, cut, deleted",
        least=300,
        run=lambda s, n: database_faults(s, faults=n or 300),
    ),
    Sweep(
        name="T18", what="SIGKILL at random times under load", least=200, run=lambda s, n: long_run(s, kills=n or 200)
    ),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a sweep has brought."""

    name: str
    what: str
    found: Found
    seconds: float
    ok: bool
    remark: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweeps; 1 when anything was violated, not caught, or could not be run."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--only", default="", help="sweeps, as in T1,T3; default: all")
    parser.add_argument(
        "--faults", type=int, help="kills, errors or cuts of a sweep; default: somewhat more than its least"
    )
    parser.add_argument("--folder", type=Path, help="where to work; default: in memory, where that is")
    options = parser.parse_args(arguments)
    only = [name for name in options.only.upper().replace(",", " ").split() if name]
    if unknown := set(only) - {sweep.name for sweep in SWEEPS} - {"T6"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if refused := ptrace.available():
        return _unable(refused)
    needed = not only or any(sweep.mounts for sweep in SWEEPS if sweep.name in only) or "T6" in only
    cannot_mount = (mounts.refusal() or mounts.require_tools()) if needed else ""
    # What is mounted is unmounted, and what runs is ended, also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        memory = Path("/dev/shm")
        above = options.folder or (memory if memory.is_dir() and os.access(memory, os.W_OK) else None)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="artifact-sync-crash-", dir=above)))
        made = stack.enter_context(scene(folder / "daemon"))
        rows = [
            _ran(sweep, made, options.faults, cannot_mount if sweep.mounts else "")
            for sweep in SWEEPS
            if not only or sweep.name in only
        ]
        if not only or "T6" in only:
            rows += _mutants(folder, made, cannot_mount)
    _say("\n".join(_table(rows)))
    if options.faults is None:
        _RESULTS.write_text(_report(rows, _RESULTS.read_text() if only and _RESULTS.exists() else ""))
        _say(f"Written: {_RESULTS.relative_to(REPOSITORY)}")
    return 0 if all(row.ok for row in rows) else 1


def _ran(sweep: Sweep, made: Scene, faults: int | None, refused: str) -> Row:
    _say(f"{sweep.name}: {sweep.what} ...")
    if refused:
        return _not_run(sweep.name, sweep.what, refused)
    started = time.monotonic()
    found = sweep.run(made, faults)
    shutil.rmtree(made.folder, ignore_errors=True)
    seconds = time.monotonic() - started
    enough = faults is not None or found.faults >= sweep.least
    remark = "" if enough else f"fewer faults than {sweep.least}: this proves too little"
    for violation in found.violations[:_SHOWN]:
        _say(f"  VIOLATION {violation}")
    _say(f"  {found.faults} faults, {len(found.violations)} violations, {seconds:.0f} s {_notes(found)}")
    return Row(
        name=sweep.name,
        what=sweep.what,
        found=found,
        seconds=seconds,
        ok=not found.violations and enough,
        remark=remark or _notes(found),
    )


def _mutants(folder: Path, sound: Scene, refused: str) -> list[Row]:
    """T6: each is put through T1, T3 and T4 until one of them has caught it."""
    rows = []
    attempts: tuple[tuple[str, Callable[[Scene], Found]], ...] = (
        ("T1", lambda s: kills(s, most=_MUTANT_POINTS // 2, enough=ENOUGH)),
        ("T3", lambda s: cuts(s, split=False, most=_MUTANT_POINTS, enough=ENOUGH)),
        ("T4", lambda s: cuts(s, split=True, most=_MUTANT_POINTS, enough=ENOUGH)),
    )
    for number, mutant in enumerate(MUTANTS, 1):
        name, what = f"T6.{number}", f"mutant: {mutant.name}"
        _say(f"{name}: {what} ...")
        if refused:
            rows.append(_not_run(name, what, refused))
            continue
        started, total, caught = time.monotonic(), Found(), ""
        with scene(folder / f"mutant-{number}", patches=mutant.patches, beside=sound) as made:
            for sweep, attempt in attempts:
                found = attempt(made)
                shutil.rmtree(made.folder, ignore_errors=True)
                total.faults += found.faults
                if found.violations:
                    caught = f"caught by {sweep} at fault {found.faults}, not before"
                    total.violations = found.violations
                    break
        seconds = time.monotonic() - started
        _say(f"  {caught or 'NOT CAUGHT'}, {total.faults} faults, {seconds:.0f} s")
        for violation in total.violations[:2]:
            _say(f"  {violation}")
        rows.append(
            Row(name=name, what=what, found=total, seconds=seconds, ok=bool(caught), remark=caught or "NOT CAUGHT")
        )
    return rows


def _not_run(name: str, what: str, refused: str) -> Row:
    """In continuous integration what cannot be run has failed: nobody would notice that it never is."""
    _say(f"  not run: {refused}")
    return Row(
        name=name, what=what, found=Found(), seconds=0, ok=not os.environ.get("CI"), remark=f"not run: {refused}"
    )


def _unable(refused: str) -> int:
    _say(f"The crash laboratory cannot work here: {refused}")
    return 1 if os.environ.get("CI") else 0


def _notes(found: Found) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(found.notes.items()))


def _table(rows: Sequence[Row]) -> list[str]:
    lines = ["| sweep | what | faults | violations | seconds | |", "|---|---|--:|--:|--:|---|"]
    lines += [
        f"| {row.name} | {row.what} | {row.found.faults} | {len(row.found.violations)} | {row.seconds:.0f} | {row.remark} |"
        for row in rows
    ]
    return lines


def _report(rows: Sequence[Row], earlier: str) -> str:
    """With the rows of sweeps that were not run now, as they are in an earlier report."""
    table = _table(rows)
    new = {row.name: line for row, line in zip(rows, table[2:], strict=True)}
    told = [(row.name, one) for row in rows if "T6" not in row.name for one in row.found.violations[:_SHOWN]]
    violated = [f"- {name}: {_WORK.sub('.../', one.splitlines()[0])}" for name, one in told]
    kept: dict[str, str] = {}
    for line in earlier.splitlines():
        name = line.strip("|- ").partition(" ")[0].rstrip(":")
        if name not in new and line.startswith(("| T", "- T")):
            if line.startswith("-"):
                violated.append(line)
            else:
                kept[name] = line
    every = kept | new
    table[2:] = [every[name] for name in sorted(every, key=_order)]
    return "\n".join(
        [
            "# Crash laboratory",
            "",
            "Written by `make crash`. Each row is a sweep over the real daemon as a process of its own, against the",
            "simulated GitLab as another; `tests/crash/` says how each works. A fault is one kill, one failed call, one",
            "power cut, one full disk or one damaged file; a violation is whatever the auditor finds wrong after it, before",
            "or after the next start and a clean pass. The violations of a mutant are what it must be caught by.",
            "",
            *table,
            "",
            *(["Violations:", "", *violated, ""] if violated else []),
            (
                "Measured with "
                f"Linux {platform.release()} ({platform.machine()}), CPython {platform.python_version()}, "
                f"SQLite {sqlite3.sqlite_version}, {_version('mkfs.ext4', '-V')}, {os.cpu_count()} processors shared with"
            ),
            "other work. T3, T4 and T6 work on ext4 (commit=600, noauto_da_alloc) on loop devices, T10 on tmpfs and ext4,",
            "T11 on ext4 on a loop device on a tmpfs that is too small; the others work in memory (tmpfs), where a kill is",
            "what it is elsewhere. A power cut is a copy of the image after a SIGKILL: what had reached the device. It neither",
            "reorders writes nor tears sectors.",
            "",
        ]
    )


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("T").split("."))


def _version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"no {command[0]}"
    return (done.stdout + done.stderr).strip().splitlines()[0]


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the laboratory talks to a person


if __name__ == "__main__":
    sys.exit(main())

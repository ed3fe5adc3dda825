"""T18: a daemon under load that is killed again and again at random moments, and started again on the same store."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from tests.acceptance.harness import simulated_gitlab
from tests.crash.daemon_process import Outcome, Place, plain_start
from tests.crash.scene import Scene, configure
from tests.crash.served import everything
from tests.crash.sweeps import Found

__all__ = ["long_run"]

#: More than the daemon can mirror in the time that the kills leave it.
_WORLD = "jobs:{jobs}:20000"
#: Seconds within which a daemon has begun its first transfer; where nothing is left to do it never does.
_START = 10.0
_AT_WORK = b'"transfer_started"'
#: Every so many kills everything is looked at, and not only that nothing told is missing.
_FULL_LOOK = 10


def long_run(scene: Scene, *, kills: int = 200, jobs: int = 800, seed: int = 18) -> Found:
    """Kill so many daemons between the imports of their interpreter and the middle of their downloads."""
    found, luck = Found(), random.Random(seed)
    with simulated_gitlab(_WORLD.format(jobs=jobs)) as gitlab:
        made = replace(scene, gitlab=gitlab, served=everything(gitlab))
        place = made.place("long")
        configure(place, gitlab, transfers=4, attempts=4)
        told: set[str] = set()
        for number in range(1, kills + 1):
            # One in four while it starts, the others at work.
            ran = _killed(made, place, luck.uniform(0.05, 0.8), at_work=luck.random() < 0.75)
            told |= ran.told
            found.note("published by runs that were killed", len(ran.told))
            found.note("killed at work", bool(ran.told) and len(told) < jobs)
            wrong = [f"it ended by itself with {ran.code}: {ran.err.strip()[-300:]}"] if ran.code != -9 else []
            if number % _FULL_LOOK == 0 or number == kills:
                wrong += made.auditor(place).look(told=told)
            else:
                wrong += [f"{dest} is gone" for dest in told if not _there(place, dest)]
            found.add(f"kill {number}", wrong)
        found.violations += made.recovered(place, timeout=600)
    return found


def _there(place: Place, dest: str) -> bool:
    return (place.store / "tree" / dest / ".artifact-sync.json").exists()


def _killed(scene: Scene, place: Place, seconds: float, *, at_work: bool) -> Outcome:
    """The daemon as it is installed, killed so long after its start or its first transfer's; what it said and how it ended."""
    out, err = Path(place.folder / ".out"), Path(place.folder / ".err")
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = plain_start(scene.installation, "run", "--json", place=place, out=stdout, err=stderr)
        give_up = time.monotonic() + _START
        while at_work and _AT_WORK not in out.read_bytes() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    return Outcome(code=code, out=out.read_text(errors="replace"), err=err.read_text(errors="replace"))

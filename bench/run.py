"""Measures and writes bench/RESULTS.md: `make bench`, or `make bench ARGS="--size 2GiB"`.

`--only` measures a part, and shows it without writing. The comparison with other tools needs nginx and the tools; as root it
installs what is missing with apt-get, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import urllib.request
from pathlib import Path

from bench.hooks import Plan, hooks
from bench.ours import sync
from bench.politeness import requests
from bench.processes import Run, folder, measure, simulator
from bench.replica import Served, replica
from bench.side_by_side import CASES, side_by_side
from bench.stock import Stock, stock

from artifact_sync import __version__

RESULTS = Path(__file__).with_name("RESULTS.md")
MIB = 1 << 20
_MANY = 100_000


def main() -> None:
    """Measure what the options say and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="512MiB", help="of the one big archive")
    parser.add_argument("--listed", type=int, nargs="+", default=[20_000], help="jobs to list, for a row each")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement; the median counts")
    parser.add_argument(
        "--only",
        choices=("sync", "peers", "politeness", "stock", "replica", "hooks"),
        help="measure this, and write nothing",
    )
    parser.add_argument("--peer-size", default="1GiB", help="of the one archive that is compared with other tools")
    parser.add_argument("--peer-archives", type=int, default=5000, help="small archives that are compared")
    parser.add_argument("--pairs", type=int, default=5, help="of runs, ours and theirs; the median counts")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[], help="of --only peers; default: all")
    parser.add_argument("--publications", type=int, default=10_000, help="of the store that is proved")
    parser.add_argument(
        "--ending", type=int, default=500, help="jobs that end one after another, for webhooks and polls"
    )
    parser.add_argument("--deliveries", type=int, default=10_000, help="webhooks that come in a flood")
    options = parser.parse_args()
    # Servers and measured processes end, and their folders go, as they do for Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sections = []
    if options.only in {None, "sync"}:
        rows = big(options.size, options.rounds)
        for count in options.listed:
            # A million takes minutes, and does not vary by what a median is for.
            rows += listed(count, 1 if count > _MANY else options.rounds)
        sections.append(report(rows, " ".join(["python -m bench.run", *sys.argv[1:]])))
    if options.only in {None, "peers"}:
        size, archives = options.peer_size, options.peer_archives
        sections.append(side_by_side(size=size, archives=archives, rounds=options.pairs, only=options.cases))
    if options.only in {None, "politeness"}:
        sections.append(requests())
    if options.only in {None, "stock"}:
        sections.append(stock(Stock(publications=options.publications, rounds=options.pairs)))
    if options.only in {None, "replica"}:
        size, archives = options.peer_size, options.peer_archives
        sections.append(replica(Served(size=size, archives=archives, rounds=options.pairs)))
    if options.only in {None, "hooks"}:
        sections.append(hooks(Plan(jobs=options.ending, deliveries=options.deliveries)))
    text = "\n".join(sections)
    if options.only is None:
        RESULTS.write_text(text)
    print(text)


def big(size: str, rounds: int) -> list[str]:
    """One archive, by curl and by a sync of an empty store, in turn."""
    print(f"one archive of {size} ...", flush=True)
    curls: list[Run] = []
    syncs: list[Run] = []
    with simulator(f"big:{size}") as gitlab:
        job = next(iter(ask(gitlab["url"], "expected")))
        url = f"{gitlab['url']}/api/v4/projects/1/jobs/{job}/artifacts"
        for _ in range(rounds):
            with folder() as here:
                header = f"PRIVATE-TOKEN: {gitlab['token']}"
                command = ["curl", "-sSfL", "-H", header, "-o", str(here / "artifacts.zip"), url]
                curls.append(measure(command, output=here / "log"))
            with folder() as here:
                syncs.append(measure(sync(gitlab, here), output=here / "log"))
    curl, ours = median(curls), median(syncs)
    return [
        row(f"curl, one archive of {size} to disk", curl, ""),
        row(
            "`artifact-sync sync`, the same archive: hashed, every CRC checked, durable",
            ours,
            f"{ours.seconds / curl.seconds:.1f} x curl's time",
        ),
    ]


def listed(count: int, rounds: int) -> list[str]:
    """A project with many jobs, one in a hundred of which has an archive; then the pass that finds nothing new."""
    print(f"{count:,} listed jobs ...", flush=True)
    first: list[Run] = []
    again: list[Run] = []
    with simulator(f"listed:{count}") as gitlab:
        for _ in range(rounds):
            with folder() as here:
                first.append(measure(sync(gitlab, here), output=here / "log"))
                again.append(measure(sync(gitlab, here), output=here / "log"))
    one, two = median(first), median(again)
    return [
        row(
            f"`artifact-sync sync`, {count:,} listed jobs, {-(-count // 100):,} archives",
            one,
            f"{count / one.seconds:,.0f} jobs a second",
        ),
        row("the same again, nothing new", two, ""),
    ]


def ask(url: str, what: str) -> dict[str, object]:
    """What the simulator tells of itself."""
    with urllib.request.urlopen(f"{url}/-/simulator/{what}") as answer:
        told: dict[str, object] = json.load(answer)
        return told


def median(runs: list[Run]) -> Run:
    """The run in the middle by seconds, with the highest peak of all."""
    middle = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    return Run(seconds=middle.seconds, cpu=middle.cpu, peak=max(run.peak for run in runs))


def row(what: str, run: Run, note: str) -> str:
    """A row of the table."""
    return f"| {what} | {run.seconds:.2f} | {run.cpu:.2f} | {run.peak / MIB:.0f} | {note} |"


def report(rows: list[str], command: str) -> str:
    """The file."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    free = shutil.disk_usage(Path.cwd()).free >> 30
    table = "\n".join(rows)
    return f"""# Measurements

Made by `{command}` with artifact-sync {__version__}, Python {platform.python_version()}, on {os.cpu_count()} virtual CPUs
({platform.machine()}), {memory:.0f} GiB of memory, {free} GiB of free disk, Linux {platform.release().split("-")[0]}. The
simulated GitLab is a process of its own on the same machine, so it competes for the CPUs. Times are medians; memory is the
highest peak of the resident size of the whole process.

| what | seconds | CPU seconds | peak MiB | |
|---|---|---|---|---|
{table}
"""


if __name__ == "__main__":
    main()

"""What is measured of artifact-sync alone: a part of an archive by a glob, and a download that goes on after a kill."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from statistics import median

from bench.cases import SLOW, Plan, our_sync
from bench.origin import Origin, serve
from bench.ours import sync
from bench.pairs import Act, against, alone, middle
from bench.processes import Failed, Run, folder, killed, measure
from bench.tables import Goal, contest_row, our_row, table

from artifact_sync.simulator.worlds import parse_size

__all__ = ["chosen", "resumed"]

_FILES = 1000
#: One folder, whose files lie side by side; and one file out of every tenth folder.
_GLOBS = ("part-042/*", "part-??0/3.bin")
_KILL_AT = 0.9
_TIMES_ARCHIVE = Goal(bound=0.05)
_AGAIN = Goal(bound=5, unit=" %")
_OVERHEAD = Goal(bound=1.05)


def chosen(plan: Plan) -> str:
    """One file in a hundred, by globs; over a fast and over a slow link."""
    fast, told = _chosen(plan, slow=False)
    slow, told_slow = _chosen(plan, slow=True)
    wire = "\n".join([*told, *told_slow])
    return f"""### One in a hundred of the {_FILES:,} files of an archive of {plan.size}, by a glob

Compared with the whole archive, fetched by artifact-sync as well. What a pass costs in which nothing is fetched, most of it the
start of the interpreter, is in both times.

{table("time, part to whole", [*fast, *slow])}

Bytes on the wire are all that nginx sent for artifacts, headers and redirects included, beside the bytes of the chosen files
as they are in the archive and its central directory:

| | on the wire | files and directory | ratio | goal |
|---|---|---|---|---|
{wire}
"""


def _chosen(plan: Plan, *, slow: bool) -> tuple[list[str], list[str]]:
    how = ", slow link" if slow else ""
    rows: list[str] = []
    told: list[str] = []
    with serve(f"files:{_FILES}:{plan.size}", shape=SLOW if slow else None) as origin:
        whole = our_sync(origin)
        for glob in _GLOBS[: 1 if slow else None]:
            print(f"  {glob}{how}, {plan.rounds} pairs ...", flush=True)
            wire: list[int] = []
            pairs = against(_counted(origin, glob, wire), whole, plan.rounds)
            if not rows:
                rows.append(our_row(f"the whole archive{how}", pairs.theirs))
                idle = middle([alone(_again(origin, glob)) for _ in range(plan.rounds)])
                rows.append(our_row(f"a second pass, with nothing to fetch{how}", idle))
            rows.append(contest_row(f"`{glob}`{how}", pairs.ours, pairs, goal=_TIMES_ARCHIVE))
            least = _least(origin.files[0], glob)
            ratio = median(wire) / least
            cells = [f"`{glob}`{how}", f"{median(wire):,.0f}", f"{least:,}", f"{ratio:.3f}", _OVERHEAD.judged(ratio)]
            told.append(f"| {' | '.join(cells)} |")
    return rows, told


def _again(origin: Origin, glob: str) -> Act:
    """The pass after the one that fetched: what it takes to start, to ask, and to end."""
    ours = our_sync(origin, files=[glob])

    def act(here: Path) -> Run:
        ours(here)
        return ours(here)

    return act


def _counted(origin: Origin, glob: str, wire: list[int]) -> Act:
    """Fetch the part, and note what nginx sent for it."""
    ours = our_sync(origin, files=[glob])

    def act(here: Path) -> Run:
        since = origin.mark()
        run = ours(here)
        wire.append(origin.sent(since).archives)
        found = [file for file in (here / "mirror/tree").rglob("*.bin") if file.is_file()]
        if len(found) != _FILES // 100:
            raise Failed(f"{glob} brought {len(found)} files")
        return run

    return act


def _least(file: Path, glob: str) -> int:
    """Bytes of the chosen files in the archive, and of its directory."""
    with zipfile.ZipFile(file) as archive:
        chosen = sum(info.compress_size for info in archive.infolist() if PurePosixPath(info.filename).match(glob))
        return chosen + file.stat().st_size - archive.start_dir


def resumed(plan: Plan) -> str:
    """Killed on the way, and started again."""
    size = parse_size(plan.size)
    again, second = [], []
    with serve(f"big:{plan.size}") as origin:
        print(f"  killed at {_KILL_AT:.0%}, {plan.rounds} times ...", flush=True)
        for _ in range(plan.rounds):
            with folder() as here:
                since = origin.mark()
                command = sync(origin.gitlab, here)
                killed(command, written=int(size * _KILL_AT), output=here / "log")
                kept = origin.sent(since).archives
                second.append(measure(command, output=here / "log"))
                if not list((here / "mirror/tree").rglob("artifacts.zip")):
                    raise Failed("the second start did not publish the archive")
                again.append(100 * (origin.sent(since).archives - size) / size)
            print(f"    {kept / size:.1%} sent before, {again[-1]:.2f} % again", flush=True)
    share = median(again)
    run = middle(second)
    return f"""### Killed (SIGKILL) when {_KILL_AT:.0%} of an archive of {plan.size} was written, and started again

What nginx sent in both runs together, beyond the archive's size; what lay in the sockets' buffers at the kill is in it.

| | sent again | from to | goal | seconds of the second run |
|---|---|---|---|---|
| **artifact-sync sync** | {share:.2f} % | {min(again):.2f} to {max(again):.2f} % | {_AGAIN.judged(share)} | {run.seconds:.2f} |
"""

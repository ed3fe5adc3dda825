"""What is compared with the peers: one archive, many, and one over a slow link."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.origin import Origin, Shape, serve
from bench.ours import accepts_segments, sync
from bench.pairs import Act, in_turn, middle, paired
from bench.peers import MANY, ONE, Peer
from bench.processes import Failed, Run, measure
from bench.tables import Goal, contest_row, left_out_row, our_row, table

__all__ = ["OURS", "SEGMENTS", "SLOW", "Plan", "linked", "many", "one", "our_sync"]

#: The row of the product.
OURS = "**artifact-sync sync**"
#: 50 ms and 20 MiB/s a connection.
SLOW = Shape(round_trip=0.05, rate=20 << 20)
SEGMENTS = 4
_AT_ONCE = 16
_MEMORY = Goal(bound=80, unit=" MiB")
#: About 10 KiB with what a zip adds.
_SMALL = "9013B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and what cannot be: programs that are not there, with the reason."""

    size: str
    archives: int
    rounds: int
    lacking: Mapping[str, str]


def one(plan: Plan, *, tls: bool) -> str:
    """One large archive."""
    goals = {"curl, then sha256sum": Goal(bound=1)}
    with serve(f"big:{plan.size}", tls=tls) as origin:
        rows = _contest(plan, origin, ONE, our_sync(origin), goals=goals)
    how = " with TLS" if tls else ""
    return f"""### One archive of {plan.size}{how}

Hashed, every CRC of the zip checked, and durable, by artifact-sync; on disk, by the others.

{table("time, ours to theirs", rows)}
"""


def many(plan: Plan) -> str:
    """Many small ones."""
    goals = {
        f"aria2c -j{_AT_ONCE}": Goal(bound=0.4, at_least=True),
        "python-gitlab, 16 threads": Goal(bound=3, at_least=True),
    }
    with serve(f"jobs:{plan.archives}:{_SMALL}") as origin:
        act = our_sync(origin, concurrency=_AT_ONCE)
        rows = _contest(plan, origin, MANY, act, goals=goals, speed=True)
    each = origin.size // len(origin.archives)
    return f"""### {plan.archives:,} archives of {each:,} bytes

Each found in GitLab's lists, verified, and published durably with its state and manifest, by artifact-sync with
`downloads: {{concurrency: {_AT_ONCE}}}`; on disk, by the others, all of which but the script are given the addresses.

{table("speed, ours to theirs", rows, rate="files a second")}
"""


def linked(plan: Plan) -> str:
    """One large archive over a slow link."""
    built = accepts_segments(SEGMENTS)
    segments = SEGMENTS if built else None
    shown = f"`downloads: {{segments: {SEGMENTS}}}`" if built else "one connection: parallel ranges are not built"
    goals = {"curl": Goal(bound=3.5, at_least=True)}
    peers = [peer for peer in ONE if peer.name in {"curl", "aria2c -x4"}]
    with serve(f"big:{plan.size}", shape=SLOW) as origin:
        rows = _contest(plan, origin, peers, our_sync(origin, segments=segments), goals=goals, speed=True)
    return f"""### One archive of {plan.size} over a slow link

Between every tool and nginx, for GitLab's API and the object store alike: a round trip of {SLOW.round_trip * 1000:.0f} ms,
{SLOW.rate >> 20} MiB/s for each connection in each direction, and a round trip to connect; no slow start and no loss.
artifact-sync with {shown}.

{table("speed, ours to theirs", rows)}
"""


def our_sync(
    origin: Origin,
    *,
    files: Sequence[str] = (),
    concurrency: int | None = None,
    segments: int | None = None,
) -> Act:
    """A complete pass with a new store, by a process of its own."""

    def act(here: Path) -> Run:
        command = sync(origin.gitlab, here, files=files, concurrency=concurrency, segments=segments)
        run = measure(command, output=here / "log")
        if not files:
            _require_whole(origin, (here / "mirror/tree").rglob("artifacts.zip"))
        return run

    return act


def _act(origin: Origin, command: Callable[[Origin, Path], list[str]]) -> Act:
    def act(here: Path) -> Run:
        run = measure(command(origin, here), output=here / "log")
        _require_whole(origin, (here / "files").rglob("*"))
        return run

    return act


def _require_whole(origin: Origin, found: Iterable[Path]) -> None:
    """A tool that saved less than it should has not taken part."""
    sizes = [file.stat().st_size for file in found if file.is_file()]
    if (len(sizes), sum(sizes)) != (len(origin.archives), origin.size):
        raise Failed(f"{len(sizes)} files of {sum(sizes)} bytes, not {len(origin.archives)} of {origin.size}")


def _contest(
    plan: Plan,
    origin: Origin,
    peers: Sequence[Peer],
    ours: Act,
    *,
    goals: Mapping[str, Goal],
    speed: bool = False,
) -> list[str]:
    """A row for each peer, ours before them."""
    count = len(origin.archives)

    def rate(run: Run) -> str:
        return f"{count / run.seconds:,.0f}" if count > 1 else ""

    lacking = {peer.name: _reasons(plan, peer) for peer in peers}
    there = {peer.name: _act(origin, peer.command) for peer in peers if not lacking[peer.name]}
    runs = in_turn({OURS: ours} | there, plan.rounds)
    our = middle(runs[OURS])
    rows = [our_row(OURS, our, rate=rate(our), goal=_MEMORY.judged(our.peak / (1 << 20)))]
    for peer in peers:
        if peer.name in there:
            pairs = paired(runs[OURS], runs[peer.name])
            figures = rate(pairs.theirs)
            rows.append(
                contest_row(peer.name, pairs.theirs, pairs, rate=figures, speed=speed, goal=goals.get(peer.name))
            )
        else:
            rows.append(left_out_row(peer.name, lacking[peer.name]))
    return rows


def _reasons(plan: Plan, peer: Peer) -> str:
    """Why it cannot take part; empty when it can."""
    return ", ".join(f"{name} ({plan.lacking[name]})" for name in peer.needs if name in plan.lacking)

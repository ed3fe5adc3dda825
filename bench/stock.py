"""Measures a store of many publications: how fast they land, what they take of the disk, and how fast they are proved."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from bench.ours import verify
from bench.pairs import Pair, Pairs
from bench.processes import Failed, Run, folder, measure
from bench.tables import Goal, contest_row, our_row, table

from artifact_sync.core.model import Item, Job, Pipeline, StagedFile, Transfer
from artifact_sync.engine import EnginePolicy
from artifact_sync.engine.workers import Workers
from artifact_sync.gitlab import ServerClock
from artifact_sync.ports import QueuedTransfer
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore

__all__ = ["Stock", "stock"]

_ADDRESS = "https://gitlab.example.com"
_ENDED = datetime(2026, 1, 1, tzinfo=UTC)
_KIB, _MIB = 1 << 10, 1 << 20
_AT_MOST = Goal(bound=1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """So many publications of one file of so many bytes; of a share of them the bytes are another one's."""

    publications: int = 10_000
    duplicates: float = 0.6
    size: int = 64 * _KIB
    rounds: int = 5


@dataclass(slots=True)
class _Prepared:
    """Implements ``Fetches``: bytes that are there already become parts, as downloads do."""

    store: LocalStore
    contents: dict[int, int]
    size: int
    source: str = f"{_ADDRESS}/api/v4/projects/1/jobs/artifacts"

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        content = content_of(self.contents[queued.transfer.job.id], self.size)
        part = await self.store.part(f"{queued.id}-0.part", expected=len(content))
        await part.append(content)
        sha256, size = await part.finish()
        return (StagedFile(name="artifacts.zip", part=part.name, sha256=sha256, size=size, source=self.source),)


def content_of(number: int, size: int) -> bytes:
    """The same bytes for the same number, and nobody else's."""
    return hashlib.shake_256(str(number).encode()).digest(size)


def stock(plan: Stock) -> str:
    """Measure, and write the section of the results."""
    print(f"a stock of {plan.publications:,} publications ...", flush=True)
    with folder() as here:
        landed = anyio.run(_landed, here, plan)
        tree = here / "mirror" / "tree"
        files = sorted(str(path) for path in tree.rglob("artifacts.zip"))
        listed = here / "files"
        listed.write_text("".join(f"{name}\0" for name in files))
        published = len(files) * plan.size
        taken = _taken(here / "mirror")
        checked = _checked(tree)
        pairs = _pairs(here, listed, plan.rounds)
    megabytes = published / _MIB
    return f"""## A store of {plan.publications:,} publications

Each is one file of {plan.size // _KIB} KiB; {
        plan.duplicates:.0%} of them have the bytes of another one. They are published by the daemon's own workers,
{
        EnginePolicy().downloads
    } at once, with the real store and state and nothing in between that would download: every file, every directory and every
step of the state is durable before it counts.

| what | |
|---|---|
| publications a second | {plan.publications / landed.seconds:,.0f} ({landed.seconds:.1f} s, {
        landed.cpu / plan.publications * 1000:.1f} ms of CPU each) |
| published | {megabytes:,.0f} MiB |
| on the disk, with manifests, directories and checksums | {taken / _MIB:,.0f} MiB ({taken / published:.2f} of it) |
| `sha256sum --check` of every `SHA256SUMS` | {checked:,} of {plan.publications:,} agree |

{
        table(
            "time, ours to theirs",
            [
                our_row("`artifact-sync verify` of all", pairs.ours),
                contest_row("`sha256sum` of the same files", pairs.theirs, pairs, goal=_AT_MOST),
            ],
        )
    }
"""


async def _landed(here: Path, plan: Stock) -> Run:
    luck = random.Random(60)
    contents: dict[int, int] = {}
    for job_id in range(1, plan.publications + 1):
        again = contents and luck.random() < plan.duplicates
        contents[job_id] = contents[luck.randrange(1, job_id)] if again else job_id
    async with (
        LocalStore.open(here / "mirror") as store,
        SqliteState.open(here / "artifact-sync.db") as state,
    ):
        await state.belong_to({"gitlab": _ADDRESS, "store": store.identity})
        for first in range(1, plan.publications + 1, 500):
            page = [_transfer(job_id, plan.size) for job_id in range(first, min(first + 500, plan.publications + 1))]
            await state.want(page, now=_ENDED)
        workers = Workers(
            queue=EmbeddedQueue(state),
            store=store,
            fetcher=_Prepared(store, contents, plan.size),
            clock=ServerClock(),
            policy=EnginePolicy(),
            emit=lambda _: None,
        )
        finish = anyio.Event()
        finish.set()
        began, cpu = time.perf_counter(), time.process_time()
        await workers.run(finish)
        if workers.tally.published != plan.publications:
            raise Failed(f"{workers.tally.published} of {plan.publications} were published")
        return Run(seconds=time.perf_counter() - began, cpu=time.process_time() - cpu, peak=0)


def _transfer(job_id: int, size: int) -> Transfer:
    return Transfer(
        project_id=1,
        project_path="group/app",
        job=Job(
            id=job_id,
            name="package",
            status="success",
            stage="build",
            ref=f"v1.{job_id}",
            tag=True,
            finished_at=_ENDED - timedelta(minutes=job_id),
            pipeline=Pipeline(id=job_id, source="push", sha="c0ffee"),
            web_url=f"{_ADDRESS}/group/app/-/jobs/{job_id}",
        ),
        rules=("all",),
        items=(Item(kind="archive", name="artifacts.zip", size=size),),
        dest=f"group/app/v1.{job_id}/package/{job_id}",
        deadline=None,
        priority=0,
        backfill=False,
    )


def _taken(root: Path) -> int:
    """Bytes of all blocks, each once however many names it has."""
    seen: dict[int, int] = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _checked(tree: Path) -> int:
    """How many publications ``sha256sum --check`` finds whole."""
    whole = 0
    for sums in tree.rglob("SHA256SUMS"):
        checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=sums.parent, check=False)
        whole += checked.returncode == 0
    return whole


def _pairs(here: Path, listed: Path, rounds: int) -> Pairs:
    """In turn, both with the files in memory as far as they fit: what is compared is the work, not the disk."""
    theirs = ["xargs", "-0", "-a", str(listed), "sha256sum"]
    ours = verify({"url": _ADDRESS, "token": "glpat-none", "project": "group/app"}, here)
    measure(theirs, output=here / "warm")
    return Pairs(
        pairs=tuple(
            Pair(ours=measure(ours, output=here / "ours"), theirs=measure(theirs, output=here / "theirs"))
            for _ in range(rounds)
        )
    )

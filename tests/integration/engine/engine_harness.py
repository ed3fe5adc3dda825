"""An engine on the real client, store, state, queue and fetcher, against a simulated GitLab in this process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio

from artifact_sync.core.after import After
from artifact_sync.core.events import Event
from artifact_sync.core.hooks import wanted_hooks
from artifact_sync.core.paths import Template
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy, ProjectSelectors, Publish, Rule, When
from artifact_sync.engine import Engine, EnginePolicy, SyncReport
from artifact_sync.fetch import Fetcher, FetchPolicy
from artifact_sync.gitlab import Client, ClientOptions, EnvToken, ServerClock
from artifact_sync.ports import Clock, Commands, QueuedTransfer, TransferState, Webhooks
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.simulator import TOKEN, JobSpec, RequestSeen, SimClock, SimJob, SimPipeline, SimProject, World, small
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore

E = TypeVar("E")

DAY = timedelta(days=1)
KEEP_NEVER = Keep(policy=KeepPolicy.NEVER)
QUICK = EnginePolicy(
    interval=timedelta(seconds=0.05),
    backfill=None,
    downloads=4,
    attempts=3,
    retry_base=0.02,
    retry_cap=0.05,
    longest_look=timedelta(seconds=0.1),
    resolve_every=timedelta(seconds=0.1),
    scrub=None,
)


class DrivenClock:
    """A world's clock for the daemon: it moves when a test advances the world and calls ``moved``."""

    def __init__(self, sim: SimClock) -> None:
        self._sim = sim
        self._start = sim.now()
        self._changed = anyio.Event()
        self._ends: list[float] = []

    @property
    def asleep(self) -> int:
        """How many sleep, without those whose time has come."""
        return sum(end > self.monotonic() for end in self._ends)

    def now(self) -> datetime:
        """The world's time."""
        return self._sim.now()

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._sim.now() - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Until the world was advanced so far."""
        end = self.monotonic() + seconds
        self._ends.append(end)
        try:
            while self.monotonic() < end:
                await self._changed.wait()
        finally:
            self._ends.remove(end)

    def advance(self, step: float | timedelta) -> None:
        """Let time pass."""
        self._sim.advance(step)
        self._changed.set()
        self._changed = anyio.Event()


class Hasty(ServerClock):
    """Each look at it takes a second."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0

    def now(self) -> datetime:
        """Later than ever before."""
        self._looks += 1
        return super().now() + timedelta(seconds=self._looks)


@dataclass
class Rig:
    """What a test drives and looks at."""

    world: World
    path: Path
    engine: Engine
    remote: Client
    store: LocalStore
    state: SqliteState
    queue: EmbeddedQueue
    fetcher: Fetcher
    clock: Clock
    rules: tuple[Rule, ...]
    policy: EnginePolicy
    events: list[Event] = field(default_factory=list)

    async def sync(self) -> SyncReport:
        """One pass, which ends."""
        with anyio.fail_after(30):
            return await self.engine.sync()

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def transfer(self, job: SimJob) -> QueuedTransfer:
        """The only transfer of a job."""
        (queued,) = await self.state.find(job.project.id, job.id)
        return queued

    async def reach(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds."""
        await until(holds)

    async def in_state(self, state: TransferState) -> int:
        """How many transfers stand there."""
        return (await self.state.summary()).by_state.get(state, 0)

    @property
    def mirrored(self) -> dict[int, str]:
        """sha256 of every archive in the tree, by job id."""
        return mirrored(self.path)


@asynccontextmanager
async def rig(
    world: World,
    path: Path,
    *rules: Rule,
    policy: EnginePolicy = QUICK,
    clock: Clock | None = None,
    min_free: int = 0,
    recover: bool = True,
    commands: Commands | None = None,
    webhooks: Webhooks | None = None,
    keep_token: str | None = None,
    **fetch: Any,
) -> AsyncIterator[Rig]:
    """A daemon's inside on the store and state below ``path``; ``world`` is served already."""
    local = ServerClock()
    at: Clock = clock or local
    options = ClientOptions(
        base_url=world.url,
        token=EnvToken("TOKEN", environ={"TOKEN": TOKEN}),
        keep_token=EnvToken("KEEP", environ={"KEEP": keep_token}) if keep_token else None,
        per_minute=600_000,
        timeout=5.0,
        attempts=1,
    )
    events: list[Event] = []
    async with (
        Client(options, clock=local) as remote,
        LocalStore.open(path / "store", min_free=0) as store,
        SqliteState.open(path / "state.db") as state,
    ):
        queue = EmbeddedQueue(state, after=wanted_hooks(rules))
        fetching = FetchPolicy(**{"min_rate": 1, "min_free": min_free, "batch": 64 * 1024, "resumes": 0} | fetch)
        fetcher = Fetcher(remote, store, state, clock=at, policy=fetching, emit=events.append)
        engine = Engine(
            remote=remote,
            store=store,
            state=state,
            queue=queue,
            fetcher=fetcher,
            clock=at,
            rules=rules,
            policy=policy,
            emit=events.append,
            commands=commands,
            webhooks=webhooks,
        )
        if recover:
            await engine.recover()
        yield Rig(world, path, engine, remote, store, state, queue, fetcher, at, rules, policy, events)


@asynccontextmanager
async def running(daemon: Rig) -> AsyncIterator[None]:
    """The daemon works as long as the block lasts, and then is cancelled."""
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.engine.run)
        try:
            with anyio.fail_after(30):
                yield
        finally:
            group.cancel_scope.cancel()


async def until(holds: Callable[[], bool], *, within: float = 20.0) -> None:
    """Wait until it holds. Raises TimeoutError."""
    with anyio.fail_after(within):
        while not holds():  # noqa: ASYNC110 -- what is waited for lies on disk or in another's list, which ring no bell
            await anyio.sleep(0.01)


def rule(
    *projects: str | int,
    name: str = "r",
    fetch: Fetch | None = None,
    keep: Keep = KEEP_NEVER,
    path: str | None = None,
    after: After | None = None,
    **when: Any,
) -> Rule:
    """A rule over projects; ``jobs`` and ``refs`` are lists of globs."""
    for key in when.keys() & {"jobs", "refs"}:
        when[key] = PatternList.parse(when[key], separator=False)
    return Rule(
        name=name,
        projects=ProjectSelectors.parse(projects or ("acme/app",)),
        when=When(**when),
        fetch=fetch or Fetch(),
        publish=Publish(path=Template.parse(path)) if path else Publish(),
        keep=keep,
        after=after or After(),
    )


def mirrored(path: Path) -> dict[int, str]:
    """sha256 of every archive in the tree below ``path``, by the job id that its directory is named after."""
    return {
        int(file.parent.name): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (path / "store" / "tree").rglob("artifacts.zip")
    }


def staging(path: Path) -> dict[str, int]:
    """Names and sizes of what lies in staging."""
    return {file.name: file.stat().st_size for file in (path / "store" / ".staging").iterdir()}


def tree(path: Path) -> dict[str, tuple[int, int]]:
    """Everything below a directory with its size and modification time, to see that nothing changed."""
    return {
        str(file.relative_to(path)): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def asked(world: World, pattern: str, method: str = "GET") -> list[RequestSeen]:
    """Requests whose path matches."""
    return [seen for seen in world.requests if seen.method == method and re.search(pattern, seen.path)]


def downloads(world: World, job: SimJob | None = None) -> list[RequestSeen]:
    """Requests for archives, of one job or all."""
    return asked(world, rf"/jobs/{job.id if job else '[0-9]+'}/artifacts$")


def build(
    world: World,
    project: SimProject,
    *names: str,
    ref: str = "main",
    at: datetime | None = None,
    expire_in: timedelta | None = None,
    end: bool = True,
    **pipeline: Any,
) -> SimPipeline:
    """A pipeline whose jobs have an archive each; they have ended unless ``end`` is False."""
    specs = [
        JobSpec(name, archive=small(f"{project.path} {len(world.jobs)} {name}"), expire_in=expire_in) for name in names
    ]
    made = world.add_pipeline(project, ref, specs, at=at, **pipeline)
    for job in made.jobs if end else ():
        world.finish(job, at=at)
    return made


def history(world: World, project: SimProject, count: int, *, start: datetime, step: timedelta) -> list[SimJob]:
    """So many jobs that ended one after another; each tenth has an archive."""
    jobs: list[SimJob] = []
    for number in range(count):
        archive = small(number, size=64) if number % 10 == 0 else None
        at = start + number * step
        made = world.add_pipeline(project, "main", [JobSpec("build", archive=archive)], at=at)
        jobs.append(world.finish(made.jobs[0], at=at))
    return jobs


def digests(jobs: Sequence[SimJob]) -> dict[int, str]:
    """What the mirror must hold of these jobs: those with an uploaded archive."""
    return {job.id: job.spec.archive.content.sha256 for job in jobs if job.uploaded and job.spec.archive is not None}

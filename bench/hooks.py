"""How long a job that has ended waits until its archive is mirrored: told by webhooks, by polling, and in a flood of webhooks."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import aiohttp
import anyio
from anyio.abc import Process
from bench.processes import Failed, folder, free_ports, installed

from artifact_sync.simulator import TOKEN, JobSpec, SimJob, World, serve, small

__all__ = ["Plan", "hooks"]

_SECRET = "a-secret-of-webhooks"
_PROJECTS = 10
#: Mean seconds between the ends of two jobs.
_BETWEEN = 0.5
#: The longest that anything is waited for, in seconds.
_LONGEST = 300.0
_CONNECTIONS = 50
#: Pipelines that a flood is about.
_OTHERS = 1000
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """So many jobs end, and so many webhooks come in a flood."""

    jobs: int = 500
    deliveries: int = 10_000


@dataclass(slots=True, kw_only=True)
class _Daemon:
    """One that runs, and when it published which job."""

    world: World
    process: Process
    url: str
    published: dict[int, datetime] = field(default_factory=dict)

    def status(self, name: str) -> int:
        """proc_pid_status(5): bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def cpu(self) -> float:
        """proc_pid_stat(5): seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def all_of(self, jobs: Sequence[SimJob]) -> list[float]:
        """Wait until they are published; seconds from the end of each until then. Raises Failed."""
        with anyio.move_on_after(_LONGEST):
            while not all(job.id in self.published for job in jobs):  # noqa: ASYNC110 - another process writes it
                await anyio.sleep(0.1)
        if lost := [job.id for job in jobs if job.id not in self.published]:
            raise Failed(f"{len(lost)} of {len(jobs)} jobs were not mirrored within {_LONGEST:.0f} s")
        return [(self.published[job.id] - job.finished_at).total_seconds() for job in jobs if job.finished_at]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flood:
    """Of webhooks."""

    answers: Counter[int]
    latencies: list[float]
    seconds: float
    cpu: float
    before: int
    peak: int
    requests: int
    delays: list[float]


def hooks(plan: Plan) -> str:
    """Measure, and write the section of the results."""
    print(f"{plan.jobs} jobs, told by webhooks ...", flush=True)
    told, cost_told = anyio.run(_delays, plan.jobs, "1h", True)
    print(f"{plan.jobs} jobs, by polling ...", flush=True)
    polled, cost_polled = anyio.run(_delays, plan.jobs, "10s", False)
    print(f"a flood of {plan.deliveries:,} webhooks ...", flush=True)
    flood = anyio.run(_flooded, plan.deliveries)
    good = flood.answers[200]
    return f"""## Webhooks

From the end of a job until its small archive is published, every step of it durable: jobs end one after another, every
{_BETWEEN:g} s on average, in pipelines of their own in {_PROJECTS} projects. The daemon is the installed command with the
defaults of everything but the polls; the simulated GitLab, which delivers the webhooks, is another process on the same
machine.

| {plan.jobs} jobs | p50 s | p99 s | longest s | requests for each job |
|---|---|---|---|---|
| told by webhooks, polls once an hour | {_row(told)} | {cost_told / plan.jobs:.2f} |
| no webhooks, polls every 10 s | {_row(polled)} | {cost_polled / plan.jobs:.2f} |
| told by webhooks, in a flood of {plan.deliveries:,} others ({len(flood.delays)} jobs) | {_row(flood.delays)} | |

| a flood of {plan.deliveries:,} webhooks, {_CONNECTIONS} at a time, about {_OTHERS:,} pipelines | |
|---|---|
| answered with 200 | {good:,} of {plan.deliveries:,} |
| answers, p50 / p99 / longest | {" / ".join(f"{value * 1000:.1f} ms" for value in _marks(flood.latencies))} |
| webhooks a second | {plan.deliveries / flood.seconds:,.0f} ({flood.cpu / plan.deliveries * 1000:.2f} ms of CPU each) |
| memory of the daemon, before and at its peak | {flood.before / _MIB:.0f} and {flood.peak / _MIB:.0f} MiB |
| requests to GitLab meanwhile, downloads included | {flood.requests:,} |
| jobs that ended meanwhile and were not mirrored | 0 of {len(flood.delays)} |
"""


def _row(delays: Sequence[float]) -> str:
    return " | ".join(f"{value:.2f}" for value in _marks(delays))


def _marks(values: Sequence[float]) -> tuple[float, float, float]:
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98], max(values)


async def _delays(count: int, interval: str, webhooks: bool) -> tuple[list[float], int]:  # noqa: FBT001 - anyio.run
    async with _daemon(interval) as daemon:
        if webhooks:
            _hook(daemon)
        before = daemon.world.requests.total
        delays = await daemon.all_of(await _life(daemon.world, count))
        return delays, daemon.world.requests.total - before


async def _flooded(deliveries: int) -> _Flood:
    async with _daemon("1h") as daemon:
        _hook(daemon)
        answers: Counter[int] = Counter()
        latencies: list[float] = []
        numbers = iter(range(deliveries))
        before, asked, cpu = daemon.status("VmRSS"), daemon.world.requests.total, daemon.cpu()

        async def deliver(http: aiohttp.ClientSession) -> None:
            for number in numbers:
                headers = {"X-Gitlab-Token": _SECRET, "Idempotency-Key": f"delivery-{number}"}
                began = time.perf_counter()
                async with http.post(f"{daemon.url}/webhook", data=_event(number), headers=headers) as answer:
                    await answer.read()
                    answers[answer.status] += 1
                latencies.append(time.perf_counter() - began)

        ended: list[SimJob] = []

        async def jobs() -> None:
            ended.extend(await _life(daemon.world, max(5, deliveries // 200), between=0.1))

        began = time.perf_counter()
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as http, anyio.create_task_group() as group:
            group.start_soon(jobs)
            async with anyio.create_task_group() as flood:
                for _ in range(_CONNECTIONS):
                    flood.start_soon(deliver, http)
            seconds, cpu = time.perf_counter() - began, daemon.cpu() - cpu
        delays = await daemon.all_of(ended)
        return _Flood(
            answers=answers,
            latencies=latencies,
            seconds=seconds,
            cpu=cpu,
            before=before,
            peak=daemon.status("VmHWM"),
            requests=daemon.world.requests.total - asked,
            delays=delays,
        )


def _event(number: int) -> bytes:
    """About a pipeline that is not there, in a project that is."""
    pipeline = 1_000_000 + number % _OTHERS
    event = {
        "object_kind": "build",
        "build_id": 2_000_000 + number,
        "build_status": "success",
        "pipeline_id": pipeline,
        "project_id": number % _PROJECTS + 1,
        # What GitLab sends beside it has some 2 KiB.
        "commit": {"id": pipeline, "message": "x" * 2000},
    }
    return json.dumps(event).encode()


def _hook(daemon: _Daemon) -> None:
    daemon.world.hooks.add(None, f"{daemon.url}/webhook", token=_SECRET)


async def _life(world: World, count: int, *, between: float = _BETWEEN) -> list[SimJob]:
    """Jobs that end one after another."""
    chance = random.Random(1)
    ended = []
    for number in range(count):
        spec = JobSpec("build", archive=small(f"job {number}", size=2000))
        project = world.projects[number % _PROJECTS + 1]
        (job,) = world.add_pipeline(project, "main", [spec]).jobs
        world.start(job)
        await anyio.sleep(chance.uniform(0.5, 1.5) * between)
        ended.append(world.finish(job))
    return ended


@asynccontextmanager
async def _daemon(interval: str) -> AsyncIterator[_Daemon]:
    """One that has looked at everything there is."""
    world = World()
    for number in range(_PROJECTS):
        world.add_project(f"acme/p{number}")
    (port,) = free_ports(1)
    with folder() as here:
        async with serve(world):
            _configure(here, world.url, port, interval)
            command = [installed(), "run", "--config", str(here / "artifact-sync.yaml")]
            async with await anyio.open_process(command, stdin=None, stdout=None) as process:
                daemon = _Daemon(world=world, process=process, url=f"http://127.0.0.1:{port}")
                async with anyio.create_task_group() as group:
                    group.start_soon(_read, daemon)
                    await _ready(daemon)
                    try:
                        yield daemon
                    finally:
                        process.send_signal(signal.SIGTERM)
                        with anyio.CancelScope(shield=True):
                            await process.wait()
                        group.cancel_scope.cancel()


async def _ready(daemon: _Daemon) -> None:
    with anyio.fail_after(_LONGEST):
        while sum(seen.path.endswith("/jobs") for seen in daemon.world.requests) < _PROJECTS:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.1)
        await anyio.sleep(2)


async def _read(daemon: _Daemon) -> None:
    """When it says that it has published."""
    assert daemon.process.stderr is not None
    rest = b""
    async for data in daemon.process.stderr:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if b'"transfer.published"' in line:
                told = json.loads(line)
                daemon.published[told["job"]] = datetime.fromisoformat(told["timestamp"]).astimezone(UTC)


def _configure(here: Path, url: str, port: int, interval: str) -> None:
    (here / "token").write_text(TOKEN)
    (here / "secret").write_text(_SECRET)
    written = {
        "version": 1,
        "gitlab": {"url": url, "token": {"file": "token"}},
        "store": {"path": "mirror", "min_free": "1MiB"},
        "poll": {"interval": interval, "max_interval": interval},
        "server": {"listen": f"127.0.0.1:{port}", "webhook_secret": {"file": "secret"}},
        "log": {"format": "json"},
        "rules": [{"name": "all", "projects": ["acme/**"]}],
    }
    # JSON is YAML.
    (here / "artifact-sync.yaml").write_text(json.dumps(written, indent=1))

"""The client against a server of a test, with a clock whose waits are over at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from artifact_sync.core.model import Item
from artifact_sync.gitlab import Client, ClientOptions, EnvToken, ServerClock, TokenKind, TokenSource
from artifact_sync.ports import Page, Source
from artifact_sync.simulator import TOKEN, JobSpec, Running, SimClock, SimJob, SimProject, World, faults, serve, small
from tests.integration.fetch.raw_server import whole
from tests.unit.gitlab.gitlab_clocks import START, HastyClock

DAY = timedelta(days=1)
ARCHIVE = Item(kind="archive", name="artifacts.zip")
TRACE = Item(kind="trace", name="job.log")
#: After these nobody knows whether a write was done.
UNSURE = [
    faults.Answer(status=500),
    faults.Answer(status=502),
    faults.Answer(status=504),
    faults.Hangup(),
    faults.Hangup(reset=True),
]


def token(value: str = TOKEN, kind: TokenKind = TokenKind.PRIVATE) -> TokenSource:
    """A token as the configuration names it."""
    return EnvToken("TOKEN", kind, environ={"TOKEN": value})


@asynccontextmanager
async def client_of(url: str, *, clock: HastyClock | None = None, **options: Any) -> AsyncIterator[Client]:
    """A client in a hurry; ``options`` are those of ClientOptions."""
    given = {"token": token(), "per_minute": 60_000, "timeout": 2.0, "attempts": 1} | options
    async with Client(ClientOptions(base_url=url, **given), clock=ServerClock(clock or HastyClock())) as client:
        yield client


@dataclass
class Scene:
    """A simulated GitLab with one finished job, its client, and the clock of both."""

    world: World
    clock: HastyClock
    client: Client
    project: SimProject
    job: SimJob

    @property
    def source(self) -> Source:
        """The job's archive."""
        return Source(project_id=self.project.id, job_id=self.job.id, item=ARCHIVE)

    @property
    def archive(self) -> bytes:
        """Its bytes."""
        assert self.job.spec.archive is not None
        data = self.job.spec.archive.content.data
        assert data is not None
        return data

    def statuses(self, path: str = "") -> list[int | None]:
        """What was answered to requests to GitLab whose path ends so."""
        return [seen.status for seen in self.world.requests if seen.origin == "gitlab" and seen.path.endswith(path)]


@asynccontextmanager
async def scene_of(world: World | None = None, **options: Any) -> AsyncIterator[Scene]:
    """Project acme/app with job ``build``, whose archive expires in a day."""
    sim = SimClock.manual(START)
    world = world or World(clock=sim)
    clock = HastyClock(world.clock.advance)
    project = world.add_project("acme/app")
    job = world.add_pipeline(project, "main", [JobSpec("build", archive=small("build"), expire_in=DAY)]).jobs[0]
    world.finish(job)
    running: Running
    async with serve(world) as running, client_of(running.url, clock=clock, **options) as client:
        yield Scene(world, clock, client, project, job)


async def entries(pages: AsyncIterator[Page[Any]]) -> list[int]:
    """The ids of all pages."""
    return [entry.id async for page in pages for entry in page.items]


async def downloaded(client: Client, source: Source, **rest: Any) -> bytes:
    """All bytes of one answer."""
    async with client.open(source, **rest) as body:
        return b"".join([chunk async for chunk in body.chunks()])


def json_answer(value: object, *headers: str, status: str = "200 OK") -> bytes:
    """An answer of the API, as bytes."""
    return whole(json.dumps(value).encode(), "Content-Type: application/json", *headers, status=status)


def said(error: BaseException) -> str:
    """Everything that an error tells anywhere, its causes included."""
    told = []
    seen: BaseException | None = error
    while seen is not None:
        told += [str(seen), repr(seen), str(getattr(seen, "hint", "")), str(getattr(seen, "answer", ""))]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(told)

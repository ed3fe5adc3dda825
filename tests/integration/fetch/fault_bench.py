"""One thing to mirror the whole way: raw sockets, client, fetcher, store, state, queue, publication."""

from __future__ import annotations

import json
import random
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import trustme

from artifact_sync.core.events import Event, TransferEnded
from artifact_sync.core.model import Artifact, Item, Job, Transfer
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.engine.workers import Workers
from artifact_sync.errors import CredentialRefused, Outcome
from artifact_sync.fetch import Fetcher, FetchPolicy
from artifact_sync.gitlab import Client, ClientOptions, EnvToken, ServerClock
from artifact_sync.ports import QueuedTransfer
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore
from tests.integration.fetch.raw_server import RawServer, Request, Script, Step, raw_server, script, whole
from tests.zips import real_zip

ZIP = real_zip({"noise.bin": random.Random(32).randbytes(30_000), "dir/": b"", "dir/text.txt": b"text" * 500})
OTHER = real_zip({"noise.bin": random.Random(33).randbytes(30_000), "dir/": b"", "dir/text.txt": b"text" * 500})
NOISE = random.Random(34).randbytes(20_000)
LOG = b"section_start:1:build\r\x1b[0Kmake all\n" * 400
#: Attempts of one pass at a transfer.
ATTEMPTS = 2
SECRET = "glpat-canary-0123456789abcdef"
SECRET_NOW = "glpat-canary-fedcba9876543210"
_OWN = (".artifact-sync.json", "SHA256SUMS")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is mirrored, and its right bytes. ``listed``: the sizes that the job tells, by type."""

    item: Item
    body: bytes
    listed: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """How the path of the item's requests ends."""
        if self.item.kind == "file":
            return f"/artifacts/{self.item.path}"
        return "/trace" if self.item.kind == "trace" else "/artifacts"

    def job(self, number: int = 7) -> Job:
        """The job as GitLab lists it."""
        artifacts = tuple(Artifact(file_type=kind, size=size) for kind, size in self.listed.items())
        return Job(id=number, name="build", status="success", artifacts=artifacts)


def _archive(*, announced: bool) -> Subject:
    size = len(ZIP) if announced else None
    listed = {"archive": len(ZIP)}
    return Subject(item=Item(kind="archive", name="artifacts.zip", size=size), body=ZIP, listed=listed)


def _file(*, announced: bool) -> Subject:
    size = len(NOISE) if announced else None
    item = Item(kind="file", name="files/a.bin", path="a.bin", size=size)
    return Subject(item=item, body=NOISE, listed={"archive": len(ZIP)})


_TRACE = Item(kind="trace", name="job.log")
SUBJECTS = {
    "archive": _archive(announced=True),
    "archive of no known size": _archive(announced=False),
    "file": _file(announced=False),
    "file of known size": _file(announced=True),
    "trace": Subject(item=_TRACE, body=LOG, listed={"trace": len(LOG)}),
    # GitLab answers 200 with nothing where there is no log.
    "no trace": Subject(item=_TRACE, body=b""),
    "empty archive of known size": Subject(
        item=Item(kind="archive", name="artifacts.zip", size=0), body=b"", listed={"archive": 0}
    ),
    "empty zip": Subject(item=Item(kind="archive", name="artifacts.zip"), body=real_zip({}), listed={"archive": 22}),
    "empty file": Subject(item=Item(kind="file", name="files/a.bin", path="a.bin"), body=b"", listed={"archive": 99}),
}


def listed(job: Job, **changes: object) -> bytes:
    """GET /projects/1/jobs/7."""
    answer = {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "artifacts": [{"file_type": artifact.file_type, "size": artifact.size} for artifact in job.artifacts or ()],
    }
    return whole(json.dumps(answer | changes).encode(), "Content-Type: application/json")


@dataclass
class Bench:
    """What a test drives and looks at."""

    path: Path
    subject: Subject
    gitlab: RawServer
    #: Another origin, for redirects.
    storage: RawServer
    workers: Workers
    state: SqliteState
    queue: EmbeddedQueue
    environ: dict[str, str]
    clock: ServerClock
    events: list[Event] = field(default_factory=list)
    #: What GitLab was asked in the first pass of ``ends``.
    asked: list[Request] = field(default_factory=list)

    def answer(self, *scripts: Script, job: bytes | None = None) -> None:
        """From now on the item's requests are answered by these, the last again and again; those for the job by ``job``."""
        left = list(scripts)
        about = job or listed(self.subject.job())

        def answered(request: Request) -> Sequence[Step]:
            if request.target.endswith("/jobs/7"):
                return [about]
            return (left.pop(0) if len(left) > 1 else left[0])(request)

        self.gitlab.scripts[:] = [answered]
        self.gitlab.requests.clear()

    def store(self, *scripts: Script) -> None:
        """The storage's answers, the last again and again."""
        self.storage.scripts[:] = scripts

    @property
    def begins(self) -> list[int]:
        """The first byte that each request for the item asked for."""
        return [request.begins for request in self.gitlab.requests if request.target.endswith(self.subject.place)]

    async def want(self, *numbers: int, max_size: int | None = None) -> None:
        """Put the item of each of these jobs into the queue."""
        transfers = [
            Transfer(
                project_id=1,
                project_path="g/p",
                job=self.subject.job(number),
                rules=("r",),
                items=(self.subject.item,),
                dest=f"g/p/{number}",
                max_size=max_size,
            )
            for number in numbers
        ]
        await self.state.want(transfers, now=self.now())

    async def run(self, *, within: float = 30.0) -> list[Outcome]:
        """Work until nothing is left to try; how each attempt ended. Raises TimeoutError."""
        before = len(self.ended)
        finish = anyio.Event()
        finish.set()
        self.workers.begin()
        try:
            with anyio.fail_after(within):
                await self.workers.run(finish)
        except* CredentialRefused:
            # A single pass ends when the credential is refused.
            assert self.ended[-1].outcome is Outcome.CREDENTIAL
        return [event.outcome for event in self.ended[before:]]

    async def again(self, *, within: float = 30.0) -> list[Outcome]:
        """Another pass, some time later: with a new token, and what had failed wanted again."""
        self.environ["TOKEN"] = SECRET_NOW
        await self.queue.revive()
        return await self.run(within=within)

    async def ends(self, expected: Outcome, *, kept: bool = False) -> None:
        """One pass ends so, with nothing but right bytes to be seen; the server mends; another pass publishes them.

        ``kept``: what came is kept in staging, because it can be continued.
        """
        outcomes = await self.run()
        self.asked = list(self.gitlab.requests)
        if expected is Outcome.PUBLISHED:
            assert outcomes == [expected], self.ended
            assert (self.published, self.staging) == (self.right(7), {})
            return
        once = expected.final or expected is Outcome.CREDENTIAL
        assert outcomes == [expected] * (1 if once else ATTEMPTS), self.ended
        assert self.visible == [], self.visible
        assert bool(self.staging) is kept, self.staging
        assert self.ended[-1].error
        assert self.ended[-1].hint

        self.answer(script([whole(self.subject.body)]))
        if expected.final:
            # A person, or GitLab with another job, has to want it again.
            assert await self.again() == []
            await self.want(8)
        assert await self.again() == [Outcome.PUBLISHED], self.ended
        assert (self.published, self.staging) == (self.right(8 if expected.final else 7), {})

    def right(self, *numbers: int) -> dict[str, bytes]:
        """What the tree holds when the transfers of these jobs are published."""
        return {f"g/p/{number}/{self.subject.item.name}": self.subject.body for number in numbers}

    def now(self) -> datetime:
        """The daemon's time."""
        return self.clock.now()

    async def transfer(self) -> QueuedTransfer:
        """The transfer as the state has it."""
        (queued,) = await self.state.find(1, 7)
        return queued

    @property
    def ended(self) -> list[TransferEnded]:
        """Attempts that are over."""
        return [event for event in self.events if isinstance(event, TransferEnded)]

    @property
    def published(self) -> dict[str, bytes]:
        """What lies in the tree, without the store's own files."""
        return {name: content for name, content in self._below("tree").items() if Path(name).name not in _OWN}

    @property
    def staging(self) -> dict[str, int]:
        """Names and sizes of what lies in staging."""
        return {name: len(content) for name, content in self._below(".staging").items()}

    @property
    def visible(self) -> list[str]:
        """Every name below the directories that are read by others."""
        return sorted([*self._below("tree"), *self._below("objects")])

    def tells(self, secret: str) -> list[str]:
        """Where this stands that it must not stand: files of store and state, and events."""
        files = [path for path in self.path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        return [str(path) for path in files] + [repr(event) for event in self.events if secret in repr(event)]

    def _below(self, name: str) -> dict[str, bytes]:
        root = self.path / "store" / name
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _trusted(ca_file: Path) -> ssl.SSLContext:
    """The server's side of TLS, signed by the authority in this file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@asynccontextmanager
async def opened(
    path: Path,
    subject: Subject,
    *,
    silence: float = 10.0,
    tls: bool = False,
    redirect_hosts: tuple[str, ...] = (),
    engine: Mapping[str, Any] | None = None,
    **policy: Any,
) -> AsyncIterator[Bench]:
    """A GitLab and a storage that answer nothing yet, and a daemon's inside below ``path``; ``policy`` is FetchPolicy's."""
    context = _trusted(path / "ca.pem") if tls else None
    clock = ServerClock()
    environ = {"TOKEN": SECRET}
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        gitlab = await stack.enter_async_context(raw_server(tls=context))
        storage = await stack.enter_async_context(raw_server())
        options = ClientOptions(
            base_url=gitlab.url,
            token=EnvToken("TOKEN", environ=environ),
            ca_file=path / "ca.pem" if tls else None,
            per_minute=6_000_000,
            timeout=silence,
            redirect_hosts=redirect_hosts,
            attempts=1,
        )
        remote = await stack.enter_async_context(Client(options, clock=clock))
        store = await stack.enter_async_context(LocalStore.open(path / "store"))
        state = await stack.enter_async_context(SqliteState.open(path / "state.db"))
        queue = EmbeddedQueue(state)
        limits = FetchPolicy(**{"min_rate": 1, "min_free": 0, "batch": 16 * 1024} | policy)
        workers = Workers(
            queue=queue,
            store=store,
            fetcher=Fetcher(remote, store, state, clock=clock, policy=limits, emit=events.append),
            clock=clock,
            # Without a wait in between: what is tried again is due at once.
            policy=EnginePolicy(
                **{"downloads": 1, "attempts": ATTEMPTS, "retry_base": 0.0, "retry_cap": 0.0} | dict(engine or {})
            ),
            emit=events.append,
        )
        yield Bench(path, subject, gitlab, storage, workers, state, queue, environ, clock, events)

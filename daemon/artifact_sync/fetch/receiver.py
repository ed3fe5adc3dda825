"""Bring one thing into one part: received, verified, durable."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager

import anyio
import structlog

from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.unpacking import Rejected, Unpacked
from artifact_sync.errors import Corrupt
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.download import Download
from artifact_sync.fetch.echo import address, etag_to_keep
from artifact_sync.fetch.logs import require_complete
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.resume import ResumablePart, opened
from artifact_sync.fetch.space import DiskReserve
from artifact_sync.fetch.stream import Reception
from artifact_sync.fetch.verify import verify_archive, verify_gzip
from artifact_sync.ports import Body, Clock, QueuedTransfer, Remote, Source, State, Store

__all__ = ["Receiver"]

log = structlog.get_logger()

#: Newer servers send the archive's own sha256 as its ETag; an object store's ETag is shorter or has a part count.
_SHA256_ETAG = re.compile(r'"([0-9a-f]{64})"')


class Receiver:
    """What all downloads of a process share: the remote, the disk and its reserve, and the verifiers."""

    def __init__(self, remote: Remote, store: Store, state: State, *, clock: Clock, policy: FetchPolicy) -> None:
        self.remote = remote
        self.clock = clock
        self.policy = policy
        #: Archives looked into at the same time.
        self.verifiers = anyio.CapacityLimiter(policy.verifiers)
        self._store = store
        self._state = state
        self._reserve = DiskReserve(store, min_free=policy.min_free)

    def opened(self, queued: QueuedTransfer, item: Item, *, name: str) -> AbstractAsyncContextManager[ResumablePart]:
        """As ``resume.opened``: the part called ``{transfer}-{name}.part``."""
        return opened(self._store, self._state, queued, item, name=f"{queued.id}-{name}.part", grace=self.policy.grace)

    async def download(
        self,
        queued: QueuedTransfer,
        item: Item,
        into: ResumablePart,
        report: ProgressReport,
        *,
        max_size: int | None,
    ) -> StagedFile:
        """Steps P1 to P4 for an item that has an address of its own. Raises as ``Fetcher.fetch``."""
        transfer = queued.transfer
        download = Download(
            remote=self.remote,
            clock=self.clock,
            policy=self.policy,
            reserve=self._reserve,
            report=report,
            source=Source(project_id=transfer.project_id, job_id=transfer.job.id, item=item),
            bounds=Bounds.of(item, max_size),
            archive=transfer.job.archive,
        )
        arrival = await download.run(into)
        await self._verify(queued, item, into)
        if item.kind == "trace":

            async def again() -> None:
                await download.run(into)

            asked = f"GET {arrival.source}"
            await require_complete(
                item,
                transfer.job,
                into.part,
                now=self.clock.now(),
                asked=asked,
                again=again,
                limiter=self.verifiers,
            )
        sha256, size = await into.finish()
        if item.kind == "archive":
            _compare(arrival.etag, sha256)
        return StagedFile(
            name=item.name,
            part=into.part.name,
            sha256=sha256,
            size=size,
            etag=etag_to_keep(arrival.etag),
            source=arrival.source,
            path=item.path,
        )

    async def unpack(self, item: Item, body: Body, into: ResumablePart, report: ProgressReport) -> StagedFile:
        """The same for a member of an archive, whose bytes prove themselves. ``item`` has its exact size."""
        await into.start_over(None)
        bounds = Bounds(announced=item.size, max_size=None)
        with await self._reserve.claim(item.size) as claim:
            reception = Reception(
                body=body,
                into=into,
                clock=self.clock,
                policy=self.policy,
                claim=claim,
                bounds=bounds,
                inspect=None,
                report=report.received,
            )
            await reception.run()
        bounds.check_whole(into.part.size)
        sha256, size = await into.finish()
        source = address(body.source)
        return StagedFile(name=item.name, part=into.part.name, sha256=sha256, size=size, source=source, path=item.path)

    async def unpack_whole(self, part: str, *, into: str) -> Unpacked | Rejected:
        """As ``Store.unpack``, within the space that downloads leave."""
        async with self.verifiers:
            return await self._store.unpack(part, into=into, available=await self._reserve.spare())

    async def _verify(self, queued: QueuedTransfer, item: Item, into: ResumablePart) -> None:
        part = into.part
        if item.kind == "report" and item.file_format == "gzip" and not await verify_gzip(part, limiter=self.verifiers):
            log.warning("report.untested", job=queued.transfer.job.id, report=item.path)
        if (item.kind == "archive" or item.file_format == "zip") and part.size:
            proved = await verify_archive(part, limiter=self.verifiers)
            log.debug("archive.verified", part=part.name, members=proved.members, untested=proved.untested)
            if proved.untested:
                log.warning(
                    "archive.untested", job=queued.transfer.job.id, members=proved.members, untested=proved.untested
                )


def _compare(etag: str | None, sha256: str) -> None:
    promised = _SHA256_ETAG.fullmatch(etag or "")
    if promised and promised[1] != sha256:
        raise Corrupt(
            f"the archive's sha256 is {sha256}, its ETag says {promised[1]}",
            hint="The bytes were changed on the way or in the server's storage; the next attempt downloads them again.",
        )

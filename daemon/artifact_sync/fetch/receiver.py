"""Bring one thing into one part: received, verified, durable."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import structlog

from artifact_sync.core.archive import Member
from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.provenance import Provenance, Verdict
from artifact_sync.core.unpacking import Rejected, Unpacked
from artifact_sync.fetch.bandwidth import Bandwidth
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.download import Download
from artifact_sync.fetch.echo import address, etag_to_keep
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.logs import require_complete
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.promised import require_promised
from artifact_sync.fetch.provenance import judge_provenance
from artifact_sync.fetch.resume import ResumablePart, opened
from artifact_sync.fetch.space import DiskReserve
from artifact_sync.fetch.stream import Reception
from artifact_sync.fetch.verify import verify_archive, verify_gzip
from artifact_sync.ports import Body, Clock, QueuedTransfer, Remote, Source, State, Store
from artifact_sync.ports.steps import waiting

__all__ = ["Receiver"]

log = structlog.get_logger()


class Receiver:
    """What all downloads of a process share: the remote, the bandwidth, the disk and its reserve, and the verifiers."""

    def __init__(
        self,
        remote: Remote,
        store: Store,
        state: State,
        *,
        clock: Clock,
        policy: FetchPolicy,
        bandwidth: Bandwidth,
    ) -> None:
        self.remote = remote
        self.clock = clock
        self.policy = policy
        #: Archives looked into at the same time.
        self.verifiers = anyio.CapacityLimiter(policy.verifiers)
        self._store = store
        self._state = state
        self._bandwidth = bandwidth
        self._reserve = DiskReserve(store, min_free=policy.min_free)

    def opened(self, queued: QueuedTransfer, item: Item, *, name: str) -> AbstractAsyncContextManager[ResumablePart]:
        """As ``resume.opened``: the part called ``{transfer}-{name}.part``."""
        return opened(
            self._store, self._state, queued.id, item, name=f"{queued.id}-{name}.part", grace=self.policy.grace
        )

    def line(self) -> Line:
        """For the connections of one transfer, one after another."""
        return Line(self._bandwidth, self.clock)

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
            line=self.line(),
            source=Source(project_id=transfer.project_id, job_id=transfer.job.id, item=item),
            bounds=Bounds.of(item, max_size),
            archive=transfer.job.archive,
        )
        arrival = await download.run(into)
        # Threads that read all of it: their wait is as long as the archive is large.
        with waiting():
            statements = await self._verify(queued, item, into)
            provenance = await judge_provenance(into.part, statements, limiter=self.verifiers)
        _warn(queued, provenance)
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
            require_promised(arrival.etag, sha256)
        return StagedFile(
            name=item.name,
            part=into.part.name,
            sha256=sha256,
            size=size,
            etag=etag_to_keep(arrival.etag),
            source=arrival.source,
            path=item.path,
            provenance=provenance,
        )

    async def unpack(
        self, item: Item, body: Body, into: ResumablePart, report: ProgressReport, *, clock: Clock
    ) -> StagedFile:
        """The same for a member of an archive, whose bytes prove themselves. ``item`` has its exact size.

        ``clock``: the one by which the peer is judged, if there is one.
        """
        await into.start_over(None)
        bounds = Bounds(announced=item.size, max_size=None)
        with await self._reserve.claim(item.size) as claim:
            reception = Reception(
                body=body,
                into=into,
                clock=clock,
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
        with waiting():
            async with self.verifiers:
                return await self._store.unpack(part, into=into, available=await self._reserve.spare())

    async def _verify(self, queued: QueuedTransfer, item: Item, into: ResumablePart) -> tuple[Member, ...]:
        """What may be the runner's word on the files of a proved archive."""
        part = into.part
        if item.kind == "report" and item.file_format == "gzip" and not await verify_gzip(part, limiter=self.verifiers):
            log.warning("report.untested", job=queued.transfer.job.id, report=item.path)
        if (item.kind == "archive" or item.file_format == "zip") and part.size:
            proved = await verify_archive(part, limiter=self.verifiers, arrived=into.arrived)
            log.debug("archive.verified", part=part.name, members=proved.members, untested=proved.untested)
            if proved.untested:
                log.warning(
                    "archive.untested", job=queued.transfer.job.id, members=proved.members, untested=proved.untested
                )
            return proved.statements if item.kind == "archive" else ()
        return ()


def _warn(queued: QueuedTransfer, provenance: Provenance | None) -> None:
    """It is what GitLab has, so it is published all the same."""
    if provenance is not None and provenance.verdict is Verdict.DIFFERS:
        log.warning(
            "archive.provenance_differs",
            job=queued.transfer.job.id,
            statement=provenance.statement,
            differ=provenance.differ,
            first=[f"{each.name}: {each.reason}" for each in provenance.differing[:3]],
        )

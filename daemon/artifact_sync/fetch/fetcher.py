"""Bring the items of one transfer into staging: received, verified, durable, or not there at all."""

from __future__ import annotations

import re

import anyio
import structlog

from artifact_sync.core.events import Emit
from artifact_sync.core.model import Item, StagedFile
from artifact_sync.errors import Corrupt, NotFound, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.download import Arrival, Download
from artifact_sync.fetch.echo import etag_to_keep
from artifact_sync.fetch.missing import explain_missing
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.resume import ResumablePart, opened
from artifact_sync.fetch.space import DiskReserve
from artifact_sync.fetch.verify import verify_archive
from artifact_sync.ports import Clock, QueuedTransfer, Remote, Source, State, Store

__all__ = ["Fetcher"]

log = structlog.get_logger()

#: Newer servers send the archive's own sha256 as its ETag; an object store's ETag is shorter or has a part count.
_SHA256_ETAG = re.compile(r'"([0-9a-f]{64})"')


class Fetcher:
    """Fetches transfers, several at a time, sharing one disk reserve."""

    def __init__(
        self, remote: Remote, store: Store, state: State, *, clock: Clock, policy: FetchPolicy, emit: Emit
    ) -> None:
        self._remote = remote
        self._store = store
        self._state = state
        self._clock = clock
        self._policy = policy
        self._emit = emit
        self._reserve = DiskReserve(store, min_free=policy.min_free)
        self._verifiers = anyio.CapacityLimiter(policy.verifiers)

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        """Steps P1 to P4 for every item, in order: streamed, verified, fsynced.

        Nothing of a failed attempt stays in staging but parts that the next one can continue. Raises Transient,
        Throttled, CredentialRefused, Denied, NotFound, Refused; NotAnArchive, Corrupt, TooLarge; NoSpace,
        StoreDamaged; StateError.
        """
        transfer = queued.transfer
        report = ProgressReport(queued.id, emit=self._emit, clock=self._clock, interval=self._policy.report_interval)
        done: list[ResumablePart] = []
        staged: list[StagedFile] = []
        try:
            for index, item in enumerate(transfer.items):
                name = f"{queued.id}-{index}.part"
                async with opened(
                    self._store, self._state, queued, item, name=name, grace=self._policy.grace
                ) as resumable:
                    staged.append(await self._item(queued, item, resumable, report))
                    done.append(resumable)
                    if index + 1 < len(transfer.items):
                        await resumable.remember_whole()
        except BaseException as error:
            with anyio.move_on_after(self._policy.grace, shield=True):
                for earlier in done:
                    await earlier.abandon(error)
            raise
        return tuple(staged)

    async def _item(
        self, queued: QueuedTransfer, item: Item, resumable: ResumablePart, report: ProgressReport
    ) -> StagedFile:
        transfer = queued.transfer
        download = Download(
            remote=self._remote,
            clock=self._clock,
            policy=self._policy,
            reserve=self._reserve,
            report=report,
            source=Source(project_id=transfer.project_id, job_id=transfer.job.id, item=item),
            bounds=Bounds.of(item, transfer.max_size),
        )
        try:
            arrival = await download.run(resumable)
        except NotFound as error:
            raise await explain_missing(self._remote, transfer, item, error, now=self._clock.now()) from error
        await self._verify(queued, item, resumable, arrival)
        sha256, size = await resumable.finish()
        if item.kind == "archive":
            _compare(arrival.etag, sha256)
        report.item_ended(size)
        return StagedFile(
            name=item.name,
            part=resumable.part.name,
            sha256=sha256,
            size=size,
            etag=etag_to_keep(arrival.etag),
            source=arrival.source,
        )

    async def _verify(self, queued: QueuedTransfer, item: Item, resumable: ResumablePart, arrival: Arrival) -> None:
        part = resumable.part
        if item.kind == "archive" and part.size:
            proved = await verify_archive(part, limiter=self._verifiers)
            log.debug("archive.verified", part=part.name, members=proved.members, untested=proved.untested)
            if proved.untested:
                log.warning(
                    "archive.untested", job=queued.transfer.job.id, members=proved.members, untested=proved.untested
                )
        if item.kind == "trace" and not part.size:
            _require_no_log(queued, arrival)


def _require_no_log(queued: QueuedTransfer, arrival: Arrival) -> None:
    """GitLab answers 200 with nothing where there is no log, and also while it cannot read the one it has."""
    listed = next((a.size for a in queued.transfer.job.artifacts or () if a.file_type == "trace"), None)
    if listed:
        raise Transient(
            f"GET {arrival.source}",
            f"an empty log, though the job lists one of {listed} bytes",
            hint="GitLab may be moving the log to its storage; it is tried again later.",
        )


def _compare(etag: str | None, sha256: str) -> None:
    promised = _SHA256_ETAG.fullmatch(etag or "")
    if promised and promised[1] != sha256:
        raise Corrupt(
            f"the archive's sha256 is {sha256}, its ETag says {promised[1]}",
            hint="The bytes were changed on the way or in the server's storage; the next attempt downloads them again.",
        )

"""Bring the items of one transfer into staging: received, verified, durable, or not there at all."""

from __future__ import annotations

import anyio
import structlog

from artifact_sync.core.events import Emit
from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.selection import arrived
from artifact_sync.core.timetable import Timetable
from artifact_sync.core.unpacking import Unpack
from artifact_sync.errors import NotFound, Refused, RemoteError, Unsupported
from artifact_sync.fetch.bandwidth import Bandwidth
from artifact_sync.fetch.contents import bring_contents
from artifact_sync.fetch.errand import Errand, Haul
from artifact_sync.fetch.files import bring_files
from artifact_sync.fetch.missing import explain_missing
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.fetch.reports import ReportsGiven
from artifact_sync.fetch.resume import ResumablePart
from artifact_sync.ports import Clock, QueuedTransfer, Remote, State, Store

__all__ = ["Fetcher"]

log = structlog.get_logger()


class Fetcher:
    """Fetches transfers, several at a time, sharing one disk reserve and one bandwidth."""

    def __init__(
        self,
        remote: Remote,
        store: Store,
        state: State,
        *,
        clock: Clock,
        policy: FetchPolicy,
        emit: Emit,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        """``bandwidth`` None: as much as comes."""
        self._store = store
        self._reports = ReportsGiven(clock)
        bandwidth = bandwidth or Bandwidth(Timetable(), clock=clock)
        self._receiver = Receiver(remote, store, state, clock=clock, policy=policy, bandwidth=bandwidth)
        self._clock = clock
        self._policy = policy
        self._emit = emit

    def renew(self, policy: FetchPolicy) -> None:
        """Other limits for what begins from now on. The reserve of the disk stays as it is."""
        self._policy = self._receiver.policy = policy

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        """Steps P1 to P4 for every item that is not published yet: streamed, verified, fsynced.

        The archive goes first, files may lie in it. A report that this server does not give out, or has no more, is left
        out with a warning where there is anything else; what was fetched is empty then if the rest is published already.

        Nothing of a failed attempt stays in staging but parts that the next one can continue. Raises Transient,
        Throttled, CredentialRefused, Denied, NotFound, Refused, Unsupported; NotAnArchive, Corrupt, TooLarge; NoSpace,
        StoreDamaged; StateError.
        """
        report = ProgressReport(queued.id, emit=self._emit, clock=self._clock, interval=self._policy.report_interval)
        haul = Haul()
        try:
            await self._fetch(queued, await self._wanted(queued), report, haul)
        except BaseException as error:
            with anyio.move_on_after(self._policy.grace, shield=True):
                await haul.abandon(error)
            raise
        return tuple(haul.files)

    async def _wanted(self, queued: QueuedTransfer) -> tuple[Item, ...]:
        """What a transfer took up since it was published; everything where that does not stand there as it was."""
        transfer = queued.transfer
        if not queued.files or not await self._store.exists(transfer.dest, queued.files):
            return transfer.items
        here = arrived(transfer.items, queued.files)
        return tuple(item for item in transfer.items if item.name not in here) or transfer.items

    async def _fetch(self, queued: QueuedTransfer, items: tuple[Item, ...], report: ProgressReport, haul: Haul) -> None:
        names = {item.name: f"{index}" for index, item in enumerate(queued.transfer.items)}
        held: ResumablePart | None = None
        for item in items:
            if item.kind == "archive":
                held = await self._item(queued, item, names[item.name], report, haul)
        files = tuple(item for item in items if item.kind in {"file", "files"})
        if files:
            members, line = self._policy.members, self._receiver.line()
            errand = Errand(queued=queued, items=files, report=report, haul=haul, members=members, line=line)
            source = haul.files[-1].source if held else ""
            await bring_files(self._receiver, errand, held=held.part if held else None, source=source)
        for item in items:
            if item.kind == "trace":
                await self._item(queued, item, names[item.name], report, haul)
        withheld = [
            error
            for item in items
            if item.kind == "report"
            and (error := await self._report(queued, item, names[item.name], report, haul)) is not None
        ]
        if withheld and not haul.files and len(items) == len(queued.transfer.items):
            raise withheld[0]
        for item in items:
            if item.unpack is not Unpack.NO:
                await bring_contents(self._receiver, queued, item, haul)

    async def _report(
        self, queued: QueuedTransfer, item: Item, name: str, report: ProgressReport, haul: Haul
    ) -> RemoteError | None:
        """Bring a report; why there is none, where that is for good."""
        withheld = self._reports.withheld(queued.transfer, item)
        if withheld is None:
            try:
                await self._item(queued, item, name, report, haul)
            except (Refused, Unsupported) as error:
                withheld = self._reports.judged(item, error)
                if withheld is None:
                    raise
            except NotFound as error:
                _left_out("report.gone", queued, item, error)
                return error
            else:
                return None
        _left_out("report.unsupported", queued, item, withheld)
        return withheld

    async def _item(
        self, queued: QueuedTransfer, item: Item, name: str, report: ProgressReport, haul: Haul
    ) -> ResumablePart:
        transfer = queued.transfer
        async with self._receiver.opened(queued, item, name=name) as into:
            try:
                staged = await self._receiver.download(queued, item, into, report, max_size=transfer.max_size)
            except NotFound as error:
                now = self._clock.now()
                raise await explain_missing(self._receiver.remote, transfer, item, error, now=now) from error
            haul.add(staged, into)
            report.item_ended(staged.size)
            if len(transfer.items) > 1 or item.unpack is not Unpack.NO:
                await into.remember_whole()
        return into


def _left_out(event: str, queued: QueuedTransfer, item: Item, error: RemoteError) -> None:
    log.warning(event, job=queued.transfer.job.id, report=item.path, error=str(error), hint=error.hint)

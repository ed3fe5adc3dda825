"""Bring the items of one transfer into staging: received, verified, durable, or not there at all."""

from __future__ import annotations

import anyio

from artifact_sync.core.events import Emit
from artifact_sync.core.model import Item, StagedFile
from artifact_sync.errors import NotFound
from artifact_sync.fetch.errand import Errand, Haul
from artifact_sync.fetch.files import bring_files
from artifact_sync.fetch.missing import explain_missing
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.fetch.resume import ResumablePart
from artifact_sync.ports import Clock, QueuedTransfer, Remote, State, Store

__all__ = ["Fetcher"]


class Fetcher:
    """Fetches transfers, several at a time, sharing one disk reserve."""

    def __init__(
        self, remote: Remote, store: Store, state: State, *, clock: Clock, policy: FetchPolicy, emit: Emit
    ) -> None:
        self._receiver = Receiver(remote, store, state, clock=clock, policy=policy)
        self._clock = clock
        self._policy = policy
        self._emit = emit

    async def fetch(self, queued: QueuedTransfer) -> tuple[StagedFile, ...]:
        """Steps P1 to P4 for every item: streamed, verified, fsynced. The archive goes first, files may lie in it.

        Nothing of a failed attempt stays in staging but parts that the next one can continue. Raises Transient,
        Throttled, CredentialRefused, Denied, NotFound, Refused; NotAnArchive, Corrupt, TooLarge; NoSpace,
        StoreDamaged; StateError.
        """
        report = ProgressReport(queued.id, emit=self._emit, clock=self._clock, interval=self._policy.report_interval)
        haul = Haul()
        try:
            await self._fetch(queued, report, haul)
        except BaseException as error:
            with anyio.move_on_after(self._policy.grace, shield=True):
                await haul.abandon(error)
            raise
        return tuple(haul.files)

    async def _fetch(self, queued: QueuedTransfer, report: ProgressReport, haul: Haul) -> None:
        items = queued.transfer.items
        held: ResumablePart | None = None
        for index, item in enumerate(items):
            if item.kind == "archive":
                held = await self._item(queued, item, f"{index}", report, haul)
        files = tuple(item for item in items if item.kind in {"file", "files"})
        if files:
            errand = Errand(queued=queued, items=files, report=report, haul=haul, members=self._policy.members)
            source = haul.files[-1].source if held else ""
            await bring_files(self._receiver, errand, held=held.part if held else None, source=source)
        for index, item in enumerate(items):
            if item.kind == "trace":
                await self._item(queued, item, f"{index}", report, haul)

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
            if len(transfer.items) > 1:
                await into.remember_whole()
        return into

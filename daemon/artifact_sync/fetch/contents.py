"""The files that are in an archive, beside it or instead of it."""

from __future__ import annotations

import structlog
from msgspec.structs import replace

from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.unpacking import CONTENT, Contents, Rejected, Unpack, Unpacked
from artifact_sync.fetch.errand import Haul
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.ports import QueuedTransfer

__all__ = ["bring_contents"]

log = structlog.get_logger()


async def bring_contents(receiver: Receiver, queued: QueuedTransfer, item: Item, haul: Haul) -> None:
    """Unpack an archive that the haul has, and add its files, durable. One that is rejected stays as it is, and says why.

    The last thing that a transfer needs: what is unpacked cannot be continued by another attempt, so nothing may fail behind
    it. Raises DoesNotFit, NoSpace, StoreDamaged, StoreError; then nothing unpacked is left.
    """
    archive = next(file for file in haul.files if file.name == item.name)
    into = f"{queued.id}-{CONTENT}"
    job = queued.transfer.job.id
    verdict = await receiver.unpack_whole(archive.part, into=into)
    match verdict:
        case Rejected(rule=rule, reason=reason, member=member):
            log.warning("archive.rejected", job=job, rule=rule.value, reason=reason, member=member)
        case Unpacked(files=files, size=size, skipped=skipped):
            log.info("archive.unpacked", job=job, files=len(files), bytes=size, links=len(skipped))
    shown = isinstance(verdict, Rejected) or item.unpack is not Unpack.ONLY
    haul.replace(
        archive, replace(archive, published=shown, contents=Contents.of(verdict)), *_files(verdict, archive, into)
    )


def _files(verdict: Unpacked | Rejected, archive: StagedFile, into: str) -> tuple[StagedFile, ...]:
    if isinstance(verdict, Rejected):
        return ()
    return tuple(
        StagedFile(
            name=f"{CONTENT}/{file.name}",
            part=f"{into}/{file.name}",
            sha256=file.sha256,
            size=file.size,
            source=archive.source,
            path=file.member,
            executable=file.executable,
        )
        for file in verdict.files
    )

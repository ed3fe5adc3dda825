"""Single files of an archive, by the cheapest way that leads there."""

from __future__ import annotations

import structlog

from artifact_sync.core.ways import Choice, Way, ways
from artifact_sync.fetch.by_archive import by_archive, by_held
from artifact_sync.fetch.by_directory import by_directory
from artifact_sync.fetch.by_file import by_single, by_tree
from artifact_sync.fetch.errand import Closed, Errand
from artifact_sync.fetch.receiver import Receiver
from artifact_sync.ports import Part

__all__ = ["bring_files"]

log = structlog.get_logger()


async def bring_files(receiver: Receiver, errand: Errand, *, held: Part | None, source: str) -> None:
    """Add every file of the errand to its haul, verified and durable.

    ``held``: the archive, where the transfer has brought it already, and where that came from. Raises as ``Fetcher.fetch``.
    """
    choices = ways(errand.items, size=errand.archive.size, held=held is not None, known=receiver.remote.known)
    begun = len(errand.haul.files)
    whole = False
    for choice in choices:
        if whole and choice.way is not Way.ARCHIVE:
            continue
        try:
            await _go(receiver, errand, choice, held, source)
        except Closed as closed:
            await errand.haul.cut(begun)
            whole = whole or closed.whole
            job = errand.queued.transfer.job.id
            log.info("files.closed", job=job, way=choice.way.value, reason=str(closed))
        else:
            return


async def _go(receiver: Receiver, errand: Errand, choice: Choice, held: Part | None, source: str) -> None:
    match choice.way:
        case Way.SINGLE:
            await by_single(receiver, errand, choice)
        case Way.TREE:
            await by_tree(receiver, errand, choice)
        case Way.DIRECTORY:
            await by_directory(receiver, errand, choice)
        case Way.ARCHIVE:
            await by_archive(receiver, errand, choice)
        case Way.HELD:
            assert held is not None  # noqa: S101 - ways() names it where there is one
            await by_held(receiver, errand, choice, held=held, source=source)

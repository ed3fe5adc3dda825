"""How files of an archive are fetched, which were asked for in vain, and what became of one that was to be unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from artifact_sync.cli.words import count
from artifact_sync.core.model import Transfer
from artifact_sync.core.provenance import Provenance, Verdict
from artifact_sync.core.selection import arrived
from artifact_sync.core.unpacking import Contents
from artifact_sync.core.ways import Choice, Known, ways
from artifact_sync.ports import QueuedTransfer, TransferState

__all__ = ["contents_words", "file_ways", "files_not_there", "files_words", "provenance_words", "reports_not_given"]


def file_ways(transfer: Transfer) -> tuple[Choice, ...]:
    """The ways, cheapest first, as long as nothing is known of the server; none where no single file is wanted."""
    items = [item for item in transfer.items if item.kind in {"file", "files"}]
    if not items:
        return ()
    archive = transfer.job.archive
    held = any(item.kind == "archive" for item in transfer.items)
    return ways(items, size=archive.size if archive else None, held=held, known=Known())


def files_not_there(queued: QueuedTransfer) -> tuple[str, ...]:
    """Patterns that matched nothing and optional files that were missing, of a transfer that is complete."""
    if queued.state is not TransferState.PUBLISHED:
        return ()
    items = queued.transfer.items
    here = arrived(items, queued.files)
    return tuple(item.path or item.name for item in items if item.name not in here and item.kind != "report")


def reports_not_given(queued: QueuedTransfer) -> tuple[str, ...]:
    """Types of the reports that a transfer was published without."""
    if queued.state is not TransferState.PUBLISHED:
        return ()
    items = queued.transfer.items
    here = arrived(items, queued.files)
    return tuple(item.path or item.name for item in items if item.name not in here and item.kind == "report")


def files_words(known: Iterable[QueuedTransfer], wanted: Iterable[Transfer]) -> Iterator[str]:
    """A line for each transfer in which files were missed, and for each that wants files."""
    for queued in known:
        if nothing := files_not_there(queued):
            yield f"the archive has none for {', '.join(nothing)}"
        if withheld := reports_not_given(queued):
            yield f"GitLab did not give out the report {', '.join(withheld)}"
    for choices in map(file_ways, wanted):
        if choices:
            first, *others = choices
            yield f"{first.way.value} ({first.reason})" + "".join(f"; else {choice.way.value}" for choice in others)


def contents_words(known: Iterable[QueuedTransfer]) -> Iterator[str]:
    """A line for each archive of which something is not unpacked."""
    for queued in known:
        for file in queued.files:
            if file.contents is not None and (words := _left_out(file.contents)):
                yield f"{file.name} {words}"


def provenance_words(known: Iterable[QueuedTransfer]) -> Iterator[str]:
    """A line for each archive that is mirrored."""
    for queued in known:
        archives = {item.name for item in queued.transfer.items if item.kind == "archive"}
        for file in queued.files:
            if file.name in archives and queued.published_at is not None:
                yield f"{file.name} {_provenance(file.provenance)}"


def _provenance(provenance: Provenance | None) -> str:
    if provenance is None:
        return "has no word of the runner on its files"
    unnamed = f"; {count(provenance.unnamed, 'file')} more are not named in it" if provenance.unnamed else ""
    if provenance.verdict is Verdict.VERIFIED:
        return f"verified: {count(provenance.subjects, 'file')} as {provenance.statement} says{unnamed}"
    first = "; ".join(f"{each.name}: {each.reason}" for each in provenance.differing[:5])
    return f"DIFFERS from {provenance.statement} in {provenance.differ:,} of {provenance.subjects:,}: {first}{unnamed}"


def _left_out(contents: Contents) -> str:
    if contents.rejected is not None:
        return f"is not unpacked: {contents.rejected.reason} ({contents.rejected.rule})"
    return f"has {count(contents.links, 'symbolic link')}, not made" if contents.links else ""

"""Which published file answers which request for a job's artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from artifact_sync.core.model import Item, StagedFile, Transfer
from artifact_sync.core.unpacking import Unpack

__all__ = ["archive", "report", "served_types", "single", "trace"]


def archive(transfer: Transfer, files: Iterable[StagedFile]) -> StagedFile | None:
    """The job's archive, where it is published."""
    return _of_kind(transfer, files, "archive")


def trace(transfer: Transfer, files: Iterable[StagedFile]) -> StagedFile | None:
    """The job's log."""
    return _of_kind(transfer, files, "trace")


def report(transfer: Transfer, files: Iterable[StagedFile], file_type: str) -> StagedFile | None:
    """A report of this type."""
    return _of_kind(transfer, files, "report", file_type)


def single(transfer: Transfer, files: Iterable[StagedFile], path: str) -> StagedFile | None:
    """The published file that has this path inside the archive."""
    items = _items(transfer)
    return next((file for file in files if file.published and _path(items, file) == path), None)


def served_types(transfers: Sequence[Transfer]) -> frozenset[str]:
    """GitLab's file types of what these publications have as a whole."""
    found = set()
    for item in (item for transfer in transfers for item in transfer.items):
        if item.kind == "archive" and item.unpack is not Unpack.ONLY:
            found.add("archive")
        elif item.kind == "report" and item.path is not None:
            found.add(item.path)
        elif item.kind == "trace":
            found.add("trace")
    return frozenset(found)


def _of_kind(transfer: Transfer, files: Iterable[StagedFile], kind: str, path: str | None = None) -> StagedFile | None:
    items = _items(transfer)
    for file in files:
        item = items.get(file.name)
        if file.published and item is not None and item.kind == kind and (path is None or item.path == path):
            return file
    return None


def _items(transfer: Transfer) -> Mapping[str, Item]:
    return {item.name: item for item in transfer.items}


def _path(items: Mapping[str, Item], file: StagedFile) -> str | None:
    item = items.get(file.name)
    if item is None:
        return file.path
    return item.path if item.kind == "file" else None

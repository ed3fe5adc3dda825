"""What the disk itself gives back of a publication, and not what memory still knows of it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from artifact_sync.core.model import StagedFile
from artifact_sync.store.paths import MANIFEST, components, directory, opened
from artifact_sync.store.reading import holds, read_file

__all__ = ["holds_on_disk", "manifest_bytes"]


def holds_on_disk(tree: int, dest: str, files: Sequence[StagedFile]) -> bool:
    """As ``holds``, after the pages of all these files were given back. Raises OSError, StoreError.

    Only clean pages go (posix_fadvise(2)), and everything published was synced. A filesystem may ignore the advice; then
    what is hashed is what every other reader gets as well.
    """
    try:
        with directory(tree, components(dest, what="destination")) as there:
            _forget(MANIFEST, at=there)
            for file in files:
                if file.published:
                    *below, name = components(file.name, what="file")
                    with directory(there, below) as at:
                        _forget(name, at=at)
    except FileNotFoundError:
        return False
    return holds(tree, dest, files)


def manifest_bytes(tree: int, dest: str) -> bytes | None:
    """The manifest as it stands there; None where there is none. Raises OSError, StoreError."""
    try:
        with directory(tree, components(dest, what="destination")) as there:
            return read_file(MANIFEST, at=there)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _forget(name: str, *, at: int) -> None:
    with opened(name, at=at) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

"""A look at a store without its lock, beside the process that works on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from anyio import to_thread

from artifact_sync.core.model import StagedFile
from artifact_sync.store.disk import disk_errors
from artifact_sync.store.layout import IDENTITY
from artifact_sync.store.paths import directory, opened
from artifact_sync.store.reading import holds, read_file

__all__ = ["StoreView"]


class StoreView:
    """Implements ``ports.Copies``. Nothing is made or changed, so that it needs no lock.

    A publication is added to and never rewritten, and it appears by a rename: what is found whole was never half.
    """

    def __init__(self, path: Path, *, identity: str | None) -> None:
        """``identity``: the store that the state belongs to; None where it belongs to none yet."""
        self._path = path
        self._identity = identity

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """By hash. Raises StoreError and its kin when the disk cannot be read."""
        return await to_thread.run_sync(partial(self._has, dest, files))

    def _has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        with disk_errors(f"checking {dest}"):
            try:
                with opened(str(self._path.resolve()), at=None, flags=os.O_RDONLY | os.O_DIRECTORY) as root:
                    name = read_file(IDENTITY, at=root)
                    if name is None or name.decode("ascii", "replace").strip() != self._identity:
                        return False
                    with directory(root, ("tree",)) as tree:
                        return holds(tree, dest, files)
            except FileNotFoundError:
                return False

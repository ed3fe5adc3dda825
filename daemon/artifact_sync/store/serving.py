"""Published files, opened one by one for readers elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial

from anyio import to_thread

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Obstructed
from artifact_sync.ports.catalogue import OpenFile
from artifact_sync.store.disk import disk_errors
from artifact_sync.store.paths import components, directory, opened
from artifact_sync.store.view import StoreView

__all__ = ["ReadingRoom"]

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})


class ReadingRoom:
    """Implements ``ports.Room``. Names come from the state and never from who asks."""

    def __init__(self, view: StoreView) -> None:
        self._view = view

    async def open(self, dest: str, file: StagedFile) -> OpenFile | None:
        """As the port says."""
        return await to_thread.run_sync(partial(self._open, dest, file))

    async def answers(self) -> bool:
        """As the port says."""
        return await to_thread.run_sync(self._answers)

    def _open(self, dest: str, file: StagedFile) -> OpenFile | None:
        *below, name = (*components(dest, what="destination"), *components(file.name, what="file"))
        with disk_errors(f"reading {dest}/{file.name}"), self._view.tree() as tree:
            if tree is None:
                return None
            try:
                with directory(tree, below) as at, opened(name, at=at) as fd:
                    found = os.fstat(fd)
                    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
                        return None
                    # A descriptor of its own: it stays good when the publication is moved into the trash meanwhile.
                    return OpenFile(file=os.fdopen(os.dup(fd), "rb"), size=found.st_size, sha256=file.sha256)
            except Obstructed:
                return None
            except OSError as error:
                if error.errno in _ABSENT:
                    return None
                raise

    def _answers(self) -> bool:
        with disk_errors("looking at the store"), self._view.tree() as tree:
            return tree is not None

"""How full the store's disk is."""

from __future__ import annotations

import os
from pathlib import Path

from anyio import to_thread

from artifact_sync.ports.disk import Space
from artifact_sync.store.disk import disk_errors

__all__ = ["DiskSpace"]


class DiskSpace:
    """Implements ``ports.disk.Disk``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def space(self) -> Space:
        """As the port says."""
        # A network filesystem may not answer for as long as its server is away; who asks gives up before that.
        return await to_thread.run_sync(self._space, abandon_on_cancel=True)

    def _space(self) -> Space:
        with disk_errors("looking at the store's free space"):
            found = os.statvfs(self._path)
        size = found.f_blocks * found.f_frsize
        return Space(free=found.f_bavail * found.f_frsize, used=size - found.f_bfree * found.f_frsize, size=size)

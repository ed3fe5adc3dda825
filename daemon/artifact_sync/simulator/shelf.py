"""A world's archives as files, for another server to be the object store."""

from __future__ import annotations

import shutil
from pathlib import Path

from artifact_sync.simulator.signing import object_path
from artifact_sync.simulator.world import World

__all__ = ["lay_out"]


def lay_out(world: World, folder: Path) -> None:
    """Write every archive that was uploaded to where its signed URL's path leads below ``folder``. Raises OSError."""
    for job in world.jobs.values():
        if (archive := job.archive) is None:
            continue
        path = folder / object_path(job).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        source = archive.file()
        if source is None:
            path.write_bytes(archive.data or b"")
            continue
        with source, path.open("wb") as copy:
            source.seek(0)
            shutil.copyfileobj(source, copy, 1 << 20)

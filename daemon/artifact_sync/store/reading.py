"""Looking at what is published and staged."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt
from artifact_sync.store import manifest as manifests
from artifact_sync.store.digest import matches
from artifact_sync.store.layout import Layout
from artifact_sync.store.manifest import Manifest
from artifact_sync.store.objects import Objects, part_path
from artifact_sync.store.paths import MANIFEST, components, directory, opened

__all__ = ["holds", "is_staged", "read_file", "read_manifest", "stands"]

#: Bytes. A manifest has some 500 for each file; more than this is none.
_LIMIT = 256 << 20
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def read_file(name: str, *, at: int) -> bytes | None:
    """A small file; None when there is none. Raises OSError."""
    try:
        with opened(name, at=at) as fd:
            return _read(fd)
    except FileNotFoundError:
        return None


def _read(fd: int) -> bytes:
    """What is there, by one call where it is as long as its size says."""
    asked = min(os.fstat(fd).st_size, _LIMIT) + 1
    content = block = os.read(fd, asked)
    while len(block) == asked and len(content) <= _LIMIT:
        asked = 1 << 20
        content += (block := os.read(fd, asked))
    return content


def read_manifest(at: int, *, where: str) -> Manifest | None:
    """The manifest in the directory ``at``; None when there is none. Raises Corrupt, StoreError, OSError."""
    content = read_file(MANIFEST, at=at)
    return None if content is None else manifests.parse(content, where=where)


def holds(tree: int, dest: str, files: Sequence[StagedFile]) -> bool:
    """Whether all files stand at ``dest`` by hash, and its manifest says the same. Raises OSError, StoreError."""
    try:
        with directory(tree, components(dest, what="destination")) as there:
            manifest = read_manifest(there, where=f"tree/{dest}/{MANIFEST}")
            return manifest is not None and all(_holds(there, manifest, file) for file in files if file.published)
    except Corrupt:
        return False
    except OSError as error:
        return _absent(error)


def stands(layout: Layout, dest: str, files: Sequence[StagedFile]) -> bool:
    """Whether all files and a manifest stand at ``dest``, by size alone. Raises OSError, StoreError."""
    try:
        with directory(layout.tree, components(dest, what="destination")) as there:
            return os.stat(MANIFEST, dir_fd=there, follow_symlinks=False).st_size > 0 and all(
                _stands(there, file) for file in files if file.published
            )
    except OSError as error:
        return _absent(error)


def is_staged(layout: Layout, objects: Objects, files: Sequence[StagedFile]) -> bool:
    """Whether every file is in staging, or among the objects already, by hash. Raises OSError, StoreError."""
    try:
        return all(_lies(layout, file) or objects.holds(file) for file in files if file.published)
    except OSError as error:
        return _absent(error)


def _lies(layout: Layout, file: StagedFile) -> bool:
    if not file.part:
        return False
    *below, name = part_path(file)
    try:
        with directory(layout.staging, below) as staging:
            return matches(name, (file.sha256, file.size), at=staging)
    except FileNotFoundError:
        return False


def _holds(there: int, manifest: Manifest, file: StagedFile) -> bool:
    entry = manifest.by_name.get(file.name)
    if entry is None or (entry.sha256, entry.size) != (file.sha256, file.size):
        return False
    *below, name = components(file.name, what="file")
    with directory(there, below) as at:
        return matches(name, (file.sha256, file.size), at=at)


def _stands(there: int, file: StagedFile) -> bool:
    *below, name = components(file.name, what="file")
    with directory(there, below) as at:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
        return stat.S_ISREG(status.st_mode) and status.st_size == file.size


def _absent(error: OSError) -> bool:
    """A link in the way is as good as nothing there: publishing will say what is wrong."""
    if error.errno in _ABSENT:
        return False
    raise error

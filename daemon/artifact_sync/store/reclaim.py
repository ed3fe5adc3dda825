"""Objects that nobody needs any more."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection

from artifact_sync.store.layout import Layout
from artifact_sync.store.paths import directory, entries

__all__ = ["reclaim", "unlinked"]

_SHELF = re.compile(r"[0-9a-f]{2}")
_OBJECT = re.compile(r"[0-9a-f]{64}x?")


def unlinked(layout: Layout, *, after: str, limit: int) -> list[str]:
    """Names of objects without another name, in order, from behind ``after`` on. Raises OSError.

    Where files cannot be linked these are all of them: a copy in the tree does not count.
    """
    found: list[str] = []
    for shelf in entries(layout.objects):
        if not _SHELF.fullmatch(shelf) or shelf < after[:2]:
            continue
        with directory(layout.objects, (shelf,)) as at:
            for name in entries(at):
                if name > after and _OBJECT.fullmatch(name) and _only_name(name, at=at):
                    found.append(name)
                    if len(found) == limit:
                        return found
    return found


def reclaim(layout: Layout, names: Collection[str]) -> int:
    """Remove these objects, as far as they still have no other name; the bytes that are free now. Raises OSError."""
    freed = 0
    for name in sorted(names):
        with directory(layout.objects, (name[:2],)) as at:
            if _only_name(name, at=at):
                freed += os.stat(name, dir_fd=at, follow_symlinks=False).st_size
                os.unlink(name, dir_fd=at)
    return freed


def _only_name(name: str, *, at: int) -> bool:
    try:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1

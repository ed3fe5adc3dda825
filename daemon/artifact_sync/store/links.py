"""Where symbolic links in the tree point."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from artifact_sync.store.paths import MANIFEST, directory, entries, is_there

__all__ = ["linked", "named"]

#: Folders of a publication's own files.
_OWN = frozenset({"content", "files", "reports"})


def linked(tree: int) -> frozenset[str]:
    """Destinations that symbolic links in the tree point at, whether or not anything is there. Raises OSError."""
    return frozenset(dest for dest in _targets(tree, ()) if dest)


def _targets(tree: int, below: tuple[str, ...]) -> Iterator[str]:
    try:
        with directory(tree, below) as at:
            # What an archive was unpacked into may be large, and is no place for a link to a publication.
            own = _OWN if is_there(MANIFEST, at=at) else frozenset()
            for name in entries(at):
                try:
                    mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
                    if stat.S_ISLNK(mode):
                        yield named(os.readlink(name, dir_fd=at), below) or ""
                    elif stat.S_ISDIR(mode) and name not in own:
                        yield from _targets(tree, (*below, name))
                except FileNotFoundError:
                    # Swapped or removed while this looks.
                    continue
    except FileNotFoundError:
        return


def named(target: str, folder: Sequence[str]) -> str | None:
    """What a link in that folder of the tree names, from the tree's root; None for a link that leads out of it."""
    if target.startswith("/"):
        return None
    path = list(folder)
    for part in target.split("/"):
        if part == "..":
            if not path:
                return None
            path.pop()
        elif part not in {"", "."}:
            path.append(part)
    return "/".join(path)

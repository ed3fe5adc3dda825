"""Files and directories of an unpacked archive, written below one open directory and nowhere else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from artifact_sync.store.disk import write_all
from artifact_sync.store.paths import directory, opened

__all__ = ["Folders", "finish_directories", "make_directories", "write_file"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_DIRECTORY = 0o755


class Folders:
    """Descriptors of directories below ``root``; the last one stays open, because neighbours follow each other."""

    def __init__(self, root: int, stack: ExitStack) -> None:
        self._root = root
        self._stack = stack
        self._parts: tuple[str, ...] | None = None
        self._fd = -1

    @classmethod
    @contextmanager
    def below(cls, root: int) -> Iterator[Folders]:
        """For as long as files are written."""
        with ExitStack() as stack:
            yield cls(root, stack)

    def at(self, parts: tuple[str, ...]) -> int:
        """A descriptor, good until the next call. No link is followed. Raises OSError."""
        if parts != self._parts:
            self._stack.close()
            self._parts = None
            self._fd = self._stack.enter_context(directory(self._root, parts))
            self._parts = parts
        return self._fd


def make_directories(folders: Folders, directories: Iterable[tuple[str, ...]]) -> None:
    """Make them, private for now; each stands behind the one that it lies in. Raises OSError, for one that is there too."""
    for *above, name in directories:
        os.mkdir(name, _PRIVATE_DIRECTORY, dir_fd=folders.at(tuple(above)))


def write_file(name: str, blocks: Iterable[bytes], *, at: int, mode: int) -> str:
    """Write a new file and fsync it; its sha256 in hex. Raises OSError, and what ``blocks`` raises."""
    running = hashlib.sha256()
    with opened(name, at=at, flags=_NEW, mode=_PRIVATE_FILE) as fd:
        for block in blocks:
            running.update(block)
            write_all(fd, block)
        os.fchmod(fd, mode)
        os.fsync(fd)
    return running.hexdigest()


def finish_directories(root: int, directories: Sequence[tuple[str, ...]]) -> None:
    """Give them the mode of what is published and fsync them, the deepest first, ``root`` last. Raises OSError."""
    for parts in (*reversed(directories), ()):
        with directory(root, parts) as fd:
            os.fchmod(fd, _DIRECTORY)
            os.fsync(fd)

"""A look at a store without its lock, beside the process that works on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from anyio import to_thread

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import StoreError
from artifact_sync.store.disk import disk_errors
from artifact_sync.store.handing_out import hand_out
from artifact_sync.store.inspecting import Inspector
from artifact_sync.store.latest import pointed
from artifact_sync.store.layout import IDENTITY
from artifact_sync.store.links import linked
from artifact_sync.store.paths import opened
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

    def inspector(self, *, threads: int = 1, progress: Callable[[int], None] = lambda _: None) -> Inspector:
        """As the port says."""
        return Inspector(self.tree, threads=threads, progress=progress)

    @property
    def links(self) -> Self:
        """As the port says: it is that itself."""
        return self

    async def pointed(self, links: Iterable[str]) -> Mapping[str, str]:
        """As the port says. Raises StoreError and its kin when the disk cannot be read."""
        return await to_thread.run_sync(partial(self._pointed, tuple(links)))

    async def linked(self) -> frozenset[str]:
        """As the port says. Raises StoreError and its kin when the disk cannot be read."""
        return await to_thread.run_sync(self._linked)

    async def hand_out(self, dest: str, files: Sequence[StagedFile], into: Path, *, force: bool) -> None:
        """As the port says."""
        await to_thread.run_sync(partial(self._hand_out, dest, files, into, force=force))

    def _hand_out(self, dest: str, files: Sequence[StagedFile], into: Path, *, force: bool) -> None:
        with disk_errors(f"reading {dest}"), self.tree() as tree:
            if tree is None:
                raise StoreError(
                    f"{self._path} is not the store that the state belongs to, or is not there",
                    hint="Is the store's disk mounted? See store.path and state.path in the configuration.",
                )
            hand_out(tree, dest, files, into, force=force)

    @contextmanager
    def tree(self) -> Iterator[int | None]:
        """A descriptor of the tree; None where there is none, or it is another store's. Raises OSError."""
        try:
            with opened(str(self._path.resolve()), at=None, flags=os.O_RDONLY | os.O_DIRECTORY) as root:
                name = read_file(IDENTITY, at=root)
                if name is not None and name.decode("ascii", "replace").strip() == self._identity:
                    fd = os.open("tree", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
                else:
                    fd = -1
        except (FileNotFoundError, NotADirectoryError):
            fd = -1
        try:
            yield None if fd < 0 else fd
        finally:
            if fd >= 0:
                os.close(fd)

    def _has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        with disk_errors(f"checking {dest}"), self.tree() as tree:
            return tree is not None and holds(tree, dest, files)

    def _linked(self) -> frozenset[str]:
        with disk_errors("looking for links"), self.tree() as tree:
            return frozenset() if tree is None else linked(tree)

    def _pointed(self, links: Sequence[str]) -> Mapping[str, str]:
        with disk_errors("looking at links"), self.tree() as tree:
            return {} if tree is None else pointed(tree, links)

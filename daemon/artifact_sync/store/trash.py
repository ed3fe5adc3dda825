"""Publications move into the trash and back, each step durable before the next and each to be found half done.

A publication's directory moves by one rename. Where something else stands in it, another publication's directory or what is
nobody's, the files of this one alone move, its manifest first: without it nothing there claims to be whole. Back it goes the
other way, the manifest last.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, Obstructed
from artifact_sync.store.disk import Syncer
from artifact_sync.store.layout import Layout
from artifact_sync.store.paths import MANIFEST, SUMS, components, directory, entries, is_there
from artifact_sync.store.publish import remove
from artifact_sync.store.reading import read_manifest

__all__ = ["Trash"]

_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trash:
    """``.trash/<name>/`` of one store. Nobody publishes meanwhile."""

    layout: Layout
    sync: Syncer

    def take(self, dest: str, files: Sequence[StagedFile], name: str) -> bool:
        """Move a publication into the trash, or complete that; whether it is there. Raises OSError, StoreDamaged, StoreError."""
        self.sync.require_sound()
        *above, last = components(dest, what="destination")
        try:
            with directory(self.layout.tree, above) as parent, directory(parent, (last,)) as there:
                names = _names(there, files)
                begun = is_there(name, at=self.layout.trash)
                if begun or not _alone(there, frozenset(names)):
                    self._take_files(there, names, name)
                else:
                    os.rename(last, name, src_dir_fd=parent, dst_dir_fd=self.layout.trash)
                    self.sync.directory(self.layout.trash, "the trash")
                    self.sync.directory(parent, f"the directory of {dest}")
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        self._remove_empty((*above, last))
        return is_there(name, at=self.layout.trash)

    def give_back(self, dest: str, name: str) -> bool:
        """Move it back, or complete that; whether something stands at its destination.

        Raises Obstructed where something of the same name does, OSError, StoreDamaged, StoreError.
        """
        self.sync.require_sound()
        *above, last = components(dest, what="destination")
        if is_there(name, at=self.layout.trash):
            with directory(self.layout.tree, above, make=self.sync) as parent:
                if is_there(last, at=parent):
                    with directory(self.layout.trash, (name,)) as here, directory(parent, (last,)) as there:
                        self._give_files_back(here, there, dest)
                    remove(name, at=self.layout.trash)
                else:
                    os.rename(name, last, src_dir_fd=self.layout.trash, dst_dir_fd=parent)
                self.sync.directory(parent, f"the directory of {dest}")
            self.sync.directory(self.layout.trash, "the trash")
        try:
            with directory(self.layout.tree, (*above, last)) as there:
                return is_there(MANIFEST, at=there)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return False

    def names(self) -> list[str]:
        """What lies there, in order. Raises OSError."""
        return entries(self.layout.trash)

    def discard(self, name: str) -> bool:
        """Remove one for good; whether it was there. Raises OSError."""
        return remove(name, at=self.layout.trash)

    def _take_files(self, there: int, names: Sequence[str], name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.layout.trash)
            self.sync.directory(self.layout.trash, "the trash")
        with directory(self.layout.trash, (name,)) as here:
            for each in (MANIFEST, SUMS, *names):
                self._move(each, there, here)
            for folder in _folders(names):
                with suppress(FileNotFoundError), directory(here, folder) as fd:
                    self.sync.directory(fd, "/".join(folder))
            self.sync.directory(here, "a publication in the trash")
        for folder in _folders(names):
            *below, last = folder
            with suppress(FileNotFoundError), directory(there, below) as fd:
                _remove_if_empty(last, at=fd)
        self.sync.directory(there, "what stays of a destination")

    def _give_files_back(self, here: int, there: int, dest: str) -> None:
        files = [each for each in _files(here) if each not in {MANIFEST, SUMS}]
        for each in (*files, SUMS, MANIFEST):
            self._move(each, here, there, dest=dest)
            if each == SUMS:
                for folder in _folders(files):
                    with directory(there, folder) as fd:
                        self.sync.directory(fd, "/".join(folder))
        self.sync.directory(there, dest)

    def _move(self, name: str, source: int, target: int, *, dest: str = "") -> None:
        """One file, if it is still there."""
        *below, last = name.split("/")
        try:
            with directory(source, below) as old:
                if not is_there(last, at=old):
                    return
                with directory(target, below, make=self.sync) as new:
                    if is_there(last, at=new):
                        raise Obstructed(
                            f"{dest}/{name} is there already" if dest else f"{name} is in the trash already",
                            hint="Nothing but artifact-sync may write into the store: remove what was put there.",
                        )
                    os.rename(last, last, src_dir_fd=old, dst_dir_fd=new)
        except FileNotFoundError:
            return

    def _remove_empty(self, folders: Sequence[str]) -> None:
        """The directories on the way to a destination, from its end, as far as nothing is in them."""
        for depth in range(len(folders), 0, -1):
            try:
                with directory(self.layout.tree, folders[: depth - 1]) as above:
                    if not _remove_if_empty(folders[depth - 1], at=above):
                        return
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise


def _names(there: int, files: Sequence[StagedFile]) -> list[str]:
    """Files of the publication in the directory, as the state and its manifest know them."""
    names = {file.name for file in files if file.published}
    # What the state knows goes in any case; a manifest that cannot be read names nothing more.
    with suppress(Corrupt):
        manifest = read_manifest(there, where=MANIFEST)
        names |= {file.name for file in manifest.files} if manifest is not None else set()
    for name in names:
        components(name, what="file")
    return sorted(names)


def _alone(there: int, names: frozenset[str]) -> bool:
    """Whether nothing but these files, and what belongs to every publication, is below the directory."""
    folders = {"/".join(folder) for folder in _folders(names)}
    known = names | {MANIFEST, SUMS}
    return all((name in folders) if is_folder else (name in known) for name, is_folder in _walk(there, within=folders))


def _walk(root: int, *, within: set[str] | None = None, below: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """(path, whether it is a directory) of everything below ``root``; only into directories that are in ``within``."""
    with directory(root, below) as at:
        for name in entries(at):
            path = (*below, name)
            is_folder = stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
            yield "/".join(path), is_folder
            if is_folder and (within is None or "/".join(path) in within):
                yield from _walk(root, within=within, below=path)


def _files(root: int) -> list[str]:
    return [name for name, is_folder in _walk(root) if not is_folder]


def _folders(names: Sequence[str] | frozenset[str]) -> list[tuple[str, ...]]:
    """The directories that the files are in, the deepest first."""
    parents = {tuple(name.split("/")[:-1]) for name in names}
    every = {parent[:depth] for parent in parents for depth in range(1, len(parent) + 1)}
    return sorted(every, key=lambda folder: (-len(folder), folder))


def _remove_if_empty(name: str, *, at: int) -> bool:
    try:
        os.rmdir(name, dir_fd=at)
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            return False
        if error.errno not in _NOT_THERE:
            raise
    return True

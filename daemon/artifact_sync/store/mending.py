"""What is damaged goes out of everybody's sight, and comes back from good copies where there are any."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from msgspec.structs import replace

from artifact_sync.core.inspection import Damage, Expected, Fault, Inspection
from artifact_sync.core.model import StagedFile
from artifact_sync.ports import Publication
from artifact_sync.store.digest import CHUNK, matches
from artifact_sync.store.disk import Syncer, write_all
from artifact_sync.store.layout import Layout
from artifact_sync.store.modes import mode_of
from artifact_sync.store.objects import Objects
from artifact_sync.store.paths import components, directory, is_there, opened

__all__ = ["mendable", "set_aside"]

#: Neither is there, or is the store's own business: nothing to move.
_NOTHING_TO_MOVE = frozenset({Fault.MISSING, Fault.STATE, Fault.FOREIGN})


def set_aside(layout: Layout, sync: Syncer, expected: Expected, inspection: Inspection) -> frozenset[str]:
    """Move damaged names and their objects into quarantine, durably. Raises OSError, StoreDamaged.

    The sha256 of files whose bytes have more names than those.
    """
    work = _Aside(layout, sync, Objects(layout=layout, sync=sync), {file.name: file for file in expected.shown})
    try:
        with directory(layout.tree, components(expected.dest, what="destination")) as there:
            shared = {sha256 for damage in inspection.harmed for sha256 in work.move(there, damage)}
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    sync.directory(layout.quarantine, "the quarantine")
    return frozenset(shared)


@dataclass(frozen=True, slots=True)
class _Aside:
    layout: Layout
    sync: Syncer
    objects: Objects
    files: dict[str, StagedFile]

    def move(self, there: int, damage: Damage) -> Iterator[str]:
        """One name; the sha256 if the bytes have more."""
        if damage.fault in _NOTHING_TO_MOVE:
            return
        *below, name = damage.name.split("/")
        try:
            with directory(there, below) as at:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                if status.st_ino != damage.inode:
                    # It was replaced since.
                    return
                self.objects.quarantine(name, at=at)
                self.sync.directory(at, f"the directory of {name}")
        except (FileNotFoundError, NotADirectoryError):
            return
        file = self.files.get(damage.name)
        if file is None or not stat.S_ISREG(status.st_mode):
            return
        names = 1 + self._move_object(file, status)
        if status.st_nlink > names:
            yield file.sha256

    def _move_object(self, file: StagedFile, status: os.stat_result) -> int:
        """The object with the same bytes behind it; how many of their names that were."""
        moved = 0
        for name in (file.sha256, f"{file.sha256}x"):
            try:
                with directory(self.layout.objects, (name[:2],)) as shelf:
                    found = os.stat(name, dir_fd=shelf, follow_symlinks=False)
                    if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
                        self.objects.quarantine(name, at=shelf)
                        self.sync.directory(shelf, "a directory of objects")
                        moved += 1
            except FileNotFoundError:
                continue
        return moved


def mendable(layout: Layout, sync: Syncer, publication: Publication) -> Publication | None:
    """The publication, if everything of it that is not there can come from the objects. Raises OSError, StoreDamaged.

    An object that differs in nothing but whether it may be executed is copied into staging.
    """
    files = []
    for file in publication.files:
        found = _source(layout, sync, publication.transfer.dest, file) if file.published else file
        if found is None:
            return None
        files.append(found)
    return Publication(transfer=publication.transfer, files=tuple(files), at=publication.at)


def _source(layout: Layout, sync: Syncer, dest: str, file: StagedFile) -> StagedFile | None:
    if _stands(layout, dest, file) or Objects(layout=layout, sync=sync).holds(file):
        return replace(file, part="")
    twin = file.sha256 if file.executable else f"{file.sha256}x"
    try:
        with directory(layout.objects, (twin[:2],)) as shelf:
            if not matches(twin, (file.sha256, file.size), at=shelf):
                return None
            return _copied(layout, sync, file, twin, shelf)
    except FileNotFoundError:
        return None


def _stands(layout: Layout, dest: str, file: StagedFile) -> bool:
    """By size: what was damaged was set aside."""
    *below, name = (*components(dest, what="destination"), *components(file.name, what="file"))
    try:
        with directory(layout.tree, below) as at:
            return os.stat(name, dir_fd=at, follow_symlinks=False).st_size == file.size
    except (FileNotFoundError, NotADirectoryError):
        return False


def _copied(layout: Layout, sync: Syncer, file: StagedFile, twin: str, shelf: int) -> StagedFile | None:
    """A part with the bytes of an object; the publication compares nothing but its size, so they are hashed here."""
    part = f"mend-{file.sha256}-{'x' if file.executable else 'r'}"
    if is_there(part, at=layout.staging):
        os.unlink(part, dir_fd=layout.staging)
    running = sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with opened(twin, at=shelf) as source, opened(part, at=layout.staging, flags=flags, mode=0o600) as copy:
        while block := os.read(source, CHUNK):
            running.update(block)
            write_all(copy, block)
        os.fchmod(copy, mode_of(layout.mode, executable=file.executable))
        sync.file(copy, f"a copy of {file.name}")
    return replace(file, part=part) if running.hexdigest() == file.sha256 else None

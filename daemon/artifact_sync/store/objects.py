"""The bytes, once each, under their sha256; and their way to a second name.

All names of an object share its mode, so that bytes which are executable in one place and not in another are two objects:
``<sha256>x`` is the executable one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.store.digest import CHUNK, matches
from artifact_sync.store.disk import Syncer, write_all
from artifact_sync.store.layout import Layout
from artifact_sync.store.modes import mode_of
from artifact_sync.store.paths import Directories, Place, directory, is_there, opened
from artifact_sync.store.together import Unsynced

__all__ = ["Objects", "part_path"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: FAT and some network mounts have no links, ext4 no more than 65,000 to one file.
_CANNOT_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS})
#: ioctl_ficlone(2), _IOW(0x94, 9, int): share the blocks, where the filesystem can.
_FICLONE = 0x40049409
#: No file that is published begins with a dot.
_COPY = ".copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """``objects/<2 hex>/<sha256>``, and ``<sha256>x``."""

    layout: Layout
    sync: Syncer

    def adopt(self, files: Sequence[StagedFile], held: Directories) -> Unsynced:
        """Make finished parts objects; the directories to be synced then. An object that is there already is believed by its hash.

        Raises Corrupt when neither a part nor its object is there as it should be; then the part is gone.
        """
        # Also where all was there: that may be what a killed run left before its fsync.
        return {self._adopt(file, held): "a directory of objects" for file in files}

    def _adopt(self, file: StagedFile, held: Directories) -> Place:
        name = _name(file)
        place = (self.layout.objects, (name[:2],))
        shelf = held.at(place)
        if is_there(name, at=shelf):
            if matches(name, (file.sha256, file.size), at=shelf):
                self._admit(file, name, at=shelf)
                self.drop(file)
                return place
            self._require_part(file)
            self.quarantine(name, at=shelf)
        else:
            self._require_part(file)
        *below, part = part_path(file)
        with directory(self.layout.staging, below) as staging:
            self._admit(file, part, at=staging)
            os.rename(part, name, src_dir_fd=staging, dst_dir_fd=shelf)
        return place

    def holds(self, file: StagedFile) -> bool:
        """Whether the object is there, by its hash."""
        name = _name(file)
        try:
            with directory(self.layout.objects, (name[:2],)) as shelf:
                return matches(name, (file.sha256, file.size), at=shelf)
        except FileNotFoundError:
            return False

    def place(self, file: StagedFile, name: str, held: Directories, *, at: int, scratch: int) -> None:
        """Give the object a name in the directory ``at``, where none of that name is: a link, or a durable copy."""
        known = _name(file)
        shelf = held.at((self.layout.objects, (known[:2],)))
        try:
            os.link(known, name, src_dir_fd=shelf, dst_dir_fd=at, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            self._copy(file, shelf=shelf, scratch=scratch)
            os.rename(_COPY, name, src_dir_fd=scratch, dst_dir_fd=at)

    def drop(self, file: StagedFile) -> None:
        """The part is not needed any more."""
        if file.part:
            *below, name = part_path(file)
            with suppress(FileNotFoundError), directory(self.layout.staging, below) as staging:
                os.unlink(name, dir_fd=staging)

    def quarantine(self, name: str, *, at: int) -> None:
        """Set damaged bytes aside; they are never deleted here."""
        aside = f"{time.time_ns()}-{name[-200:]}"
        os.rename(name, aside, src_dir_fd=at, dst_dir_fd=self.layout.quarantine)

    def _admit(self, file: StagedFile, name: str, *, at: int) -> None:
        """Let those read it who may read what is published, before they see it. All names of an object share that."""
        if not self.sync.access.asked:
            return
        with opened(name, at=at) as fd:
            if self.sync.access.give(fd, executable=file.executable):
                self.sync.file(fd, f"the permissions of {file.name}")

    def _require_part(self, file: StagedFile) -> None:
        *below, name = part_path(file)
        try:
            with directory(self.layout.staging, below) as staging:
                status = os.stat(name, dir_fd=staging, follow_symlinks=False)
        except FileNotFoundError:
            found = "is not there"
        else:
            if stat.S_ISREG(status.st_mode) and status.st_size == file.size:
                return
            found = f"has {status.st_size} bytes instead of {file.size}"
        self.drop(file)
        raise Corrupt(
            f"{file.name}: its part {file.part!r} in staging {found}",
            hint="Nothing but artifact-sync may work in the store's .staging directory. It is downloaded again.",
        )

    def _copy(self, file: StagedFile, *, shelf: int, scratch: int) -> None:
        with suppress(FileNotFoundError):
            os.unlink(_COPY, dir_fd=scratch)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        with opened(_name(file), at=shelf) as source, opened(_COPY, at=scratch, flags=flags, mode=0o600) as copy:
            try:
                fcntl.ioctl(copy, _FICLONE, source)
            except OSError:
                _copy_bytes(file, source, copy)
            os.fchmod(copy, mode_of(self.layout.mode, executable=file.executable))
            self.sync.access.give(copy, executable=file.executable)
            self.sync.file(copy, f"a copy of {file.name}")


def part_path(file: StagedFile) -> tuple[str, ...]:
    """Where the part is in staging, which it must not lead out of. Raises StoreError."""
    parts = tuple(file.part.split("/"))
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise StoreError(f"{file.part!r} is no name of a part", hint="The state names a part that cannot be.")
    return parts


def _name(file: StagedFile) -> str:
    if not _SHA256.fullmatch(file.sha256):
        raise StoreError(f"{file.sha256!r} is no sha256", hint="The state or a manifest was changed by hand.")
    return f"{file.sha256}x" if file.executable else file.sha256


def _copy_bytes(file: StagedFile, source: int, copy: int) -> None:
    running = hashlib.sha256()
    while block := os.read(source, CHUNK):
        running.update(block)
        write_all(copy, block)
    if running.hexdigest() != file.sha256:
        raise Corrupt(
            f"the stored bytes of {file.name} changed while they were copied",
            hint="Check the store's disk and the machine's memory.",
        )

"""The bytes, once each, under their sha256; and their way to a second name."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.store.digest import CHUNK, matches
from artifact_sync.store.disk import Syncer, write_all
from artifact_sync.store.layout import Layout
from artifact_sync.store.paths import directory, is_there, opened

__all__ = ["Objects"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: FAT and some network mounts have no links, ext4 no more than 65,000 to one file.
_CANNOT_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS})
#: ioctl_ficlone(2), _IOW(0x94, 9, int): share the blocks, where the filesystem can.
_FICLONE = 0x40049409
_COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """``objects/<2 hex>/<sha256>``."""

    layout: Layout
    sync: Syncer

    def adopt(self, file: StagedFile) -> None:
        """Make a finished part an object, durably. An object that is there already is believed by its hash alone.

        Raises Corrupt when neither the part nor the object is there as it should be; then the part is gone.
        """
        digest = _checked(file.sha256)
        content = (digest, file.size)
        with directory(self.layout.objects, (digest[:2],), make=self.sync) as shelf:
            if matches(digest, content, at=shelf):
                self.drop(file)
            else:
                self._require_part(file)
                if is_there(digest, at=shelf):
                    self.quarantine(digest, at=shelf)
                os.rename(file.part, digest, src_dir_fd=self.layout.staging, dst_dir_fd=shelf)
            # Also for what was there: it may be what a killed run left before its fsync.
            self.sync.directory(shelf, "a directory of objects")

    def holds(self, file: StagedFile) -> bool:
        """Whether the object is there, by its hash."""
        digest = _checked(file.sha256)
        try:
            with directory(self.layout.objects, (digest[:2],)) as shelf:
                return matches(digest, (digest, file.size), at=shelf)
        except FileNotFoundError:
            return False

    def place(self, file: StagedFile, name: str, *, at: int, scratch: int) -> None:
        """Give the object a name in the directory ``at``, where none of that name is: a link, or a durable copy."""
        digest = _checked(file.sha256)
        with directory(self.layout.objects, (digest[:2],)) as shelf:
            try:
                os.link(digest, name, src_dir_fd=shelf, dst_dir_fd=at, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
                self._copy(file, shelf=shelf, scratch=scratch)
                os.rename(_COPY, name, src_dir_fd=scratch, dst_dir_fd=at)

    def drop(self, file: StagedFile) -> None:
        """The part is not needed any more."""
        if file.part:
            with suppress(FileNotFoundError):
                os.unlink(part_name(file), dir_fd=self.layout.staging)

    def quarantine(self, name: str, *, at: int) -> None:
        """Set damaged bytes aside; they are never deleted here."""
        aside = f"{time.time_ns()}-{name[-200:]}"
        os.rename(name, aside, src_dir_fd=at, dst_dir_fd=self.layout.quarantine)

    def _require_part(self, file: StagedFile) -> None:
        try:
            status = os.stat(part_name(file), dir_fd=self.layout.staging, follow_symlinks=False)
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
        with opened(file.sha256, at=shelf) as source, opened(_COPY, at=scratch, flags=flags, mode=0o600) as copy:
            try:
                fcntl.ioctl(copy, _FICLONE, source)
            except OSError:
                _copy_bytes(file, source, copy)
            os.fchmod(copy, self.layout.mode)
            self.sync.file(copy, f"a copy of {file.name}")


def part_name(file: StagedFile) -> str:
    """The part's name, which must not lead out of staging. Raises StoreError."""
    if "/" in file.part or file.part in {"", ".", ".."}:
        raise StoreError(f"{file.part!r} is no name of a part", hint="The state names a part that cannot be.")
    return file.part


def _checked(digest: str) -> str:
    if not _SHA256.fullmatch(digest):
        raise StoreError(f"{digest!r} is no sha256", hint="The state or a manifest was changed by hand.")
    return digest


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

"""Copies of published files for somebody's own folder: hashed while they are copied, and all of them or none."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import StoreDamaged, UsageError
from artifact_sync.store.disk import Syncer, disk_errors, write_all
from artifact_sync.store.modes import mode_of
from artifact_sync.store.paths import components, directory, is_there, opened

__all__ = ["hand_out"]

_BLOCK = 1 << 20
#: Filesystems without links: FAT, and some network mounts.
_CANNOT_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})


@dataclass(frozen=True, slots=True)
class _Copy:
    root: int
    file: StagedFile
    #: Its name until it is proved.
    temporary: str

    @property
    def name(self) -> str:
        """The last component."""
        return self.file.name.rpartition("/")[2]

    @contextmanager
    def folder(self) -> Iterator[int]:
        """The directory that it goes into, made where it is missing; no link below the root is followed."""
        *below, _ = components(self.file.name, what="file")
        with directory(self.root, below, make=Syncer()) as at:
            yield at

    def require_free(self, *, force: bool) -> None:
        """Raise UsageError where something stands that may not be replaced."""
        with self.folder() as at:
            if not force and is_there(self.name, at=at):
                raise _taken(self.file.name)

    def forget(self) -> None:
        """Remove what was not shown."""
        with suppress(OSError), self.folder() as at:
            os.unlink(self.temporary, dir_fd=at)


def hand_out(tree: int, dest: str, files: Sequence[StagedFile], into: Path, *, force: bool) -> None:
    """Copy published files below ``into``, which is made where it is missing.

    Each copy appears under its name by a rename, once all of them were read and proved. What stands there is replaced with
    ``force`` alone. Raises UsageError for what stands there, StoreDamaged when a file is not as it was published, StoreError.
    """
    with disk_errors(f"writing to {into}"), ExitStack() as stack:
        into.mkdir(parents=True, exist_ok=True)
        root = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        copies = [_Copy(root, file, f".{uuid.uuid4().hex}.part") for file in files]
        for copy in copies:
            copy.require_free(force=force)
        stack.callback(_forget, copies)
        for copy in copies:
            _fill(tree, dest, copy)
        for copy in copies:
            _show(copy, force=force)


def _forget(copies: Sequence[_Copy]) -> None:
    for copy in copies:
        copy.forget()


def _fill(tree: int, dest: str, copy: _Copy) -> None:
    file = copy.file
    *below, name = (*components(dest, what="destination"), *components(file.name, what="file"))
    running, size = sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with directory(tree, below) as at, opened(name, at=at) as source:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise _damaged(dest, file)
            with copy.folder() as folder, opened(copy.temporary, at=folder, flags=flags, mode=0o666) as target:
                while block := os.read(source, _BLOCK):
                    running.update(block)
                    size += len(block)
                    write_all(target, block)
                if (running.hexdigest(), size) != (file.sha256, file.size):
                    raise _damaged(dest, file)
                if file.executable:
                    mode = os.fstat(target).st_mode & 0o777
                    os.fchmod(target, mode_of(mode, executable=True))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EIO}:
            raise _damaged(dest, file) from error
        raise


def _show(copy: _Copy, *, force: bool) -> None:
    with copy.folder() as at:
        if not force and _linked(copy, at):
            return
        os.rename(copy.temporary, copy.name, src_dir_fd=at, dst_dir_fd=at)


def _linked(copy: _Copy, at: int) -> bool:
    """Whether it has its name now: unlike a rename, a link does not replace what came to stand there meanwhile."""
    try:
        os.link(copy.temporary, copy.name, src_dir_fd=at, dst_dir_fd=at)
    except FileExistsError:
        raise _taken(copy.file.name) from None
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        copy.require_free(force=False)
        return False
    return True


def _taken(name: str) -> UsageError:
    return UsageError(f"{name} is there already", hint="Name another folder with --into, or replace it with --force.")


def _damaged(dest: str, file: StagedFile) -> StoreDamaged:
    return StoreDamaged(
        f"tree/{dest}/{file.name} is not as it was published, so it is not handed out",
        hint="artifact-sync verify --repair fetches it again where GitLab still has it.",
    )

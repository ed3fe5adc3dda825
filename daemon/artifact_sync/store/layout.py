"""The store's directories, made once and held open."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from artifact_sync.errors import StoreError
from artifact_sync.store.disk import Syncer, disk_errors, write_all
from artifact_sync.store.paths import directory, opened

__all__ = ["IDENTITY", "LOCK", "Layout", "laid_out"]

LOCK = ".lock"
IDENTITY = ".id"

_NEW = ".id.new"
_PRIVATE = 0o700
_PUBLIC = 0o777


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Descriptors of the store's directories, and the mode of what is published."""

    tree: int
    objects: int
    staging: int
    quarantine: int
    #: Read-only, for those whom the umask allows.
    mode: int
    #: Made with the store.
    identity: str


@contextmanager
def laid_out(path: Path, sync: Syncer) -> Iterator[Layout]:
    """Open the directories below the store, making what is missing. Raises StoreError and its kin."""
    with ExitStack() as stack:
        with disk_errors(f"opening the store {path}"):
            root = stack.enter_context(opened(str(path), at=None, flags=os.O_RDONLY | os.O_DIRECTORY))
            layout = _open(root, stack, sync)
        yield layout


def _open(root: int, stack: ExitStack, sync: Syncer) -> Layout:
    # Everything is moved into place by rename, so it must lie on one filesystem; .trash is for what retention takes away.
    modes = {"tree": _PUBLIC, "objects": _PUBLIC, ".staging": _PRIVATE, ".trash": _PRIVATE, ".quarantine": _PRIVATE}
    fds = {}
    for name, mode in modes.items():
        try:
            os.mkdir(name, mode, dir_fd=root)
        except FileExistsError:
            pass
        else:
            sync.directory(root, "the store")
        fds[name] = stack.enter_context(directory(root, (name,)))
        if os.fstat(fds[name]).st_dev != os.fstat(root).st_dev:
            raise StoreError(
                f"{name!r} in the store lies on another filesystem",
                hint="Mount one filesystem at the store's path itself; files are published by moving them.",
            )
    return Layout(
        tree=fds["tree"],
        objects=fds["objects"],
        staging=fds[".staging"],
        quarantine=fds[".quarantine"],
        mode=_published_mode(fds[".staging"]),
        identity=_identity(root, sync),
    )


def _identity(root: int, sync: Syncer) -> str:
    """What tells this store from every other, wherever it is mounted."""
    try:
        with opened(IDENTITY, at=root) as fd:
            return os.read(fd, 100).decode("ascii", "replace").strip()
    except FileNotFoundError:
        name = uuid.uuid4().hex
    # Written whole under another name first: a half of it would be the identity of a store that nobody knows.
    with opened(_NEW, at=root, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o444) as fd:
        write_all(fd, f"{name}\n".encode())
        sync.file(fd, "the store's identity")
    os.rename(_NEW, IDENTITY, src_dir_fd=root, dst_dir_fd=root)
    sync.directory(root, "the store")
    return name


def _published_mode(staging: int) -> int:
    """What the umask (or the directory's default ACL) makes of 0444; asked of a file, because umask(2) cannot be read."""
    name = "umask"
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=staging)
    with opened(name, at=staging, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o444) as fd:
        mode = os.fstat(fd).st_mode & 0o777
    os.unlink(name, dir_fd=staging)
    return mode

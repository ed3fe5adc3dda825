"""The store's directories, made once and held open."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from artifact_sync.errors import StoreDamaged, StoreError
from artifact_sync.store.disk import Syncer, disk_errors, write_all
from artifact_sync.store.modes import Access
from artifact_sync.store.paths import directory, opened

__all__ = ["IDENTITY", "LOCK", "Layout", "laid_out"]

LOCK = ".lock"
IDENTITY = ".id"

_STAGING = ".staging"
_QUARANTINE = ".quarantine"
_TRASH = ".trash"
_NEW = ".id.new"
_PRIVATE = 0o700
_PUBLIC = 0o777


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Descriptors of the store's directories, and the mode of what is published."""

    path: Path
    root: int
    tree: int
    objects: int
    staging: int
    quarantine: int
    trash: int
    #: As was chosen; else read-only, for those whom the umask allows.
    mode: int
    #: Made with the store.
    identity: str

    @property
    def staging_path(self) -> Path:
        """For a process of its own, which no descriptor reaches that it was not given."""
        return self.path / _STAGING

    def require_there(self) -> None:
        """Raise StoreDamaged unless these directories are still the ones that are found at the store's path."""
        names = {
            "tree": self.tree,
            "objects": self.objects,
            _STAGING: self.staging,
            _TRASH: self.trash,
            _QUARANTINE: self.quarantine,
        }
        try:
            there = _same(self.path.stat(), self.root) and all(
                _same(os.stat(name, dir_fd=self.root, follow_symlinks=False), fd) for name, fd in names.items()
            )
        except (FileNotFoundError, NotADirectoryError):
            there = False
        if not there:
            raise StoreDamaged(
                f"the store {self.path} is not the one that was opened: it, or a directory of it, was removed, "
                "replaced or covered by a mount",
                hint="Put the store back, or mount its disk, and start artifact-sync again: it looks at what is there.",
            )


@contextmanager
def laid_out(path: Path, sync: Syncer) -> Iterator[Layout]:
    """Open the directories below the store, making what is missing. Raises StoreError and its kin."""
    with ExitStack() as stack:
        with disk_errors(f"opening the store {path}"):
            root = stack.enter_context(opened(str(path), at=None, flags=os.O_RDONLY | os.O_DIRECTORY))
            layout = _open(path, root, stack, sync)
        yield layout


def _open(path: Path, root: int, stack: ExitStack, sync: Syncer) -> Layout:
    # Everything is moved into place by rename, so it must lie on one filesystem; .trash is for what retention takes away.
    modes = {"tree": _PUBLIC, "objects": _PUBLIC, _STAGING: _PRIVATE, _TRASH: _PRIVATE, _QUARANTINE: _PRIVATE}
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
    published = _published_mode(fds[_STAGING], sync.access)
    for name in ("tree", "objects"):
        sync.admit(fds[name])
    return Layout(
        path=path,
        root=root,
        tree=fds["tree"],
        objects=fds["objects"],
        staging=fds[_STAGING],
        quarantine=fds[_QUARANTINE],
        trash=fds[_TRASH],
        mode=published,
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


def _published_mode(staging: int, access: Access) -> int:
    """What was chosen, or what the umask (or the directory's default ACL) makes of 0444.

    Asked of a file: umask(2) cannot be read, and only the filesystem knows whether a group can be given. Raises StoreError.
    """
    # A name of its own: whatever a killed run or somebody else left is swept later, and is not in the way here.
    name = f"umask-{uuid.uuid4().hex}"
    with opened(name, at=staging, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o444) as fd:
        os.unlink(name, dir_fd=staging)
        access.require_granted(fd)
        return os.fstat(fd).st_mode & 0o777


def _same(found: os.stat_result, fd: int) -> bool:
    known = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (known.st_dev, known.st_ino)

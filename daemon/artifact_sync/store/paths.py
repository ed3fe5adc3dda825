"""Directories by descriptor, so that no symbolic link is ever followed below the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

from artifact_sync.errors import StoreError
from artifact_sync.store.disk import Syncer

__all__ = ["MANIFEST", "SUMS", "components", "directory", "is_there", "opened", "scratch_name"]

MANIFEST = ".artifact-sync.json"
SUMS = "SHA256SUMS"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def components(path: str, *, what: str) -> tuple[str, ...]:
    """The parts of a relative POSIX path that may be written below the store.

    The core has encoded them already; that is not trusted here. A leading dot belongs to the store. Raises StoreError.
    """
    parts = tuple(path.split("/"))
    reserved = parts == (SUMS,) if what == "file" else SUMS in parts
    if all(_allowed(part) for part in parts) and not reserved:
        return parts
    raise StoreError(
        f"{path!r} cannot be the name of a {what} in the store",
        hint="Every part of it must be there, not begin with a dot, and hold no NUL and no broken Unicode; "
        f"{SUMS} is the store's own.",
    )


def _allowed(part: str) -> bool:
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return bool(part) and not part.startswith(".") and "\0" not in part


def scratch_name(dest: str) -> str:
    """Where a publication is built below ``.staging/``: always the same, so that what a crash left is found again."""
    return f"publish-{sha256(dest.encode()).hexdigest()[:32]}"


@contextmanager
def opened(name: str, *, at: int | None, flags: int = _FILE, mode: int = 0) -> Iterator[int]:
    """A descriptor of one entry of the directory ``at`` (None: of a whole path), closed at the end. Never follows a link there."""
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def directory(root: int, parts: Sequence[str], *, make: Syncer | None = None) -> Iterator[int]:
    """A descriptor of a directory below ``root``, reached without following a link at any step.

    With ``make`` what is missing is made, and each new entry is durable before the next is made in it.
    """
    fd = os.dup(root)
    try:
        for name in parts:
            child = _step(fd, name, make)
            parent, fd = fd, child
            os.close(parent)
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, name: str, make: Syncer | None) -> int:
    if make is not None:
        try:
            os.mkdir(name, 0o777, dir_fd=fd)
        except FileExistsError:
            pass
        else:
            make.directory(fd, f"the directory above {name!r}")
    return os.open(name, _DIRECTORY, dir_fd=fd)


def is_there(name: str, *, at: int) -> bool:
    """Whether the directory ``at`` has an entry of that name, a dangling link included."""
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True

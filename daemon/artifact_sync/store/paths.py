"""Directories by descriptor, so that no symbolic link is ever followed below the store."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from types import TracebackType
from typing import Self

from artifact_sync.errors import StoreError
from artifact_sync.store.disk import Syncer

__all__ = [
    "MANIFEST",
    "SUMS",
    "Directories",
    "Place",
    "components",
    "directory",
    "entries",
    "is_there",
    "opened",
    "scratch_name",
]

#: A directory: the descriptor of one above it, and the way from there.
Place = tuple[int, tuple[str, ...]]

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
        _close(fd, wrote=bool(flags & (os.O_WRONLY | os.O_RDWR)))


def _close(fd: int, *, wrote: bool = False) -> None:
    """close(2). Its error tells of what was written, and of nothing where nothing was; the descriptor is gone in any case."""
    try:
        os.close(fd)
    except OSError:
        if wrote:
            raise


@contextmanager
def directory(root: int, parts: Sequence[str], *, make: Syncer | None = None) -> Iterator[int]:
    """A descriptor of a directory below ``root``, reached without following a link at any step.

    With ``make`` what is missing is made, and each new entry is durable before the next is made in it.
    """
    fd = root
    try:
        for name in parts:
            parent, fd = fd, _step(fd, name, make)
            if parent != root:
                _close(parent)
        yield fd
    finally:
        if fd != root:
            _close(fd)


def _step(fd: int, name: str, make: Syncer | None) -> int:
    if make is None:
        return os.open(name, _DIRECTORY, dir_fd=fd)
    child = _open_or_make(fd, name, make)
    try:
        # Also one that was there: its readers are to come through it, and a crash may have left it half made.
        make.admit(child)
    except BaseException:
        os.close(child)
        raise
    return child


def _open_or_make(fd: int, name: str, make: Syncer) -> int:
    with suppress(FileNotFoundError):
        return os.open(name, _DIRECTORY, dir_fd=fd)
    try:
        os.mkdir(name, make.access.fresh, dir_fd=fd)
    except FileExistsError:
        pass
    else:
        make.directory(fd, f"the directory above {name!r}")
    return os.open(name, _DIRECTORY, dir_fd=fd)


class Directories:
    """Directories that one piece of work needs again and again, each opened once, and made where it is missing.

    They are held no longer than that: somebody else may remove or replace a directory between two pieces of work.
    """

    #: So many are open at once; a descriptor is good until that many others were asked for.
    _MOST = 64

    def __init__(self, make: Syncer) -> None:
        self._make = make
        self._open: OrderedDict[Place, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._close(self._open.popitem()[1])

    def at(self, place: Place) -> int:
        """A descriptor of the directory, reached without following a link. Raises OSError, StoreDamaged."""
        root, parts = place
        if not parts:
            return root
        if place not in self._open:
            self._open[place] = _step(self.at((root, parts[:-1])), parts[-1], self._make)
            if len(self._open) > self._MOST:
                self._close(self._open.popitem(last=False)[1])
        self._open.move_to_end(place)
        return self._open[place]

    def _close(self, fd: int) -> None:
        # Nothing was written through it, and Linux gives it up whatever it answers.
        with suppress(OSError):
            os.close(fd)


def is_there(name: str, *, at: int) -> bool:
    """Whether the directory ``at`` has an entry of that name, a dangling link included."""
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def entries(at: int) -> list[str]:
    """Names in an open directory, in order. Raises OSError."""
    return sorted(os.listdir(at))

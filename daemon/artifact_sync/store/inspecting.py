"""Looking into a publication: every file is there by its hash, under the manifest that was written, and nothing else is.

It only reads, follows no link, and needs no lock: a publication appears by a rename and is never rewritten in place. What
looks damaged because it is just being added to, or taken away, is for the caller to tell by the state.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from artifact_sync.core.inspection import Damage, Expected, Fault, Inspection
from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.store import manifest as manifests
from artifact_sync.store.digests import Digests
from artifact_sync.store.disk import disk_errors, is_damage
from artifact_sync.store.idle import IdleThreads
from artifact_sync.store.manifest import FileEntry
from artifact_sync.store.paths import MANIFEST, SUMS, components, directory, opened
from artifact_sync.store.reading import read_file
from artifact_sync.store.sums import sums

__all__ = ["Inspector"]

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
#: A link; a socket, or a pipe that nobody writes to.
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO})
#: Foreign names that are told of one publication, and directories below it that are looked through for them.
_TOLD, _LOOKED_THROUGH = 100, 100_000

#: Opens the store's tree; None where there is no store of this name any more.
Tree = Callable[[], AbstractContextManager[int | None]]


class Inspector:
    """Implements ``ports.Inspector``. Each inode is hashed once in its life, which is as long as one look at the store."""

    def __init__(self, tree: Tree, *, threads: int, progress: Callable[[int], None]) -> None:
        self._tree = tree
        self._threads = IdleThreads(threads)
        self._progress = progress
        self._digests = Digests(self._pulse)

    async def inspect(self, *expected: Expected) -> tuple[Inspection, ...]:
        """As the port says, in one thread."""

        def look() -> tuple[Inspection, ...]:
            with self._tree() as tree:
                return tuple(self._inspect(one, tree) for one in expected)

        with disk_errors("verifying the store"):
            return await self._threads.run(look)

    def _pulse(self, count: int) -> None:
        self._threads.require_going()
        self._progress(count)

    def _inspect(self, expected: Expected, tree: int | None) -> Inspection:
        with disk_errors(f"verifying {expected.dest}"):
            look = _Look(expected, self._digests)
            damages = look.at(tree) if tree is not None else look.nothing("the store is not there")
        return Inspection(dest=expected.dest, damages=damages, files=len(expected.shown), size=look.size)


@dataclass(slots=True)
class _Look:
    expected: Expected
    digests: Digests
    size: int = 0

    def at(self, tree: int) -> tuple[Damage, ...]:
        """What is wrong. Raises OSError where the disk is not to blame for one file alone."""
        try:
            with directory(tree, components(self.expected.dest, what="destination")) as there:
                return tuple(self._at(there))
        except OSError as error:
            if error.errno in _ABSENT:
                return self.nothing("its directory is not there")
            if error.errno == errno.ELOOP:
                return self.nothing("a link stands in the way of its directory")
            raise

    def nothing(self, detail: str) -> tuple[Damage, ...]:
        """As if no file were there."""
        missing = (Damage(fault=Fault.MISSING, name=file.name, detail=detail) for file in self.expected.shown)
        return (Damage(fault=Fault.MANIFEST, name=MANIFEST, detail=detail), *missing)

    def _at(self, there: int) -> Iterator[Damage]:
        manifest = _Manifest(there, self.expected.manifest_sha256)
        if manifest.trouble is not None:
            yield manifest.trouble
        found: dict[str, str] = {}
        for file in self.expected.shown:
            damage = self._file(there, file, found)
            if damage is not None:
                yield self._blamed(damage, file, manifest, found)
        yield from self._sums(there, manifest)
        yield from self._foreign(there, manifest)

    def _file(self, there: int, file: StagedFile, found: dict[str, str]) -> Damage | None:
        *below, name = components(file.name, what="file")
        try:
            with directory(there, below) as at:
                return self._named(at, name, file, found)
        except OSError as error:
            detail = f"its directory: {error.strerror}"
            if error.errno in {errno.ELOOP, *_ABSENT}:
                return Damage(fault=Fault.MISSING, name=file.name, detail=detail)
            if is_damage(error):
                return Damage(fault=Fault.UNREADABLE, name=file.name, detail=detail)
            raise

    def _named(self, at: int, name: str, file: StagedFile, found: dict[str, str]) -> Damage | None:
        try:
            with opened(name, at=at) as fd:
                return self._content(fd, file, found)
        except OSError as error:
            if error.errno in _ABSENT:
                return Damage(fault=Fault.MISSING, name=file.name, detail="it is not there")
            if error.errno in _NO_FILE:
                return Damage(fault=Fault.NOT_A_FILE, name=file.name, inode=_inode(name, at))
            return _unread(error, file.name, Fault.UNREADABLE, at)

    def _content(self, fd: int, file: StagedFile, found: dict[str, str]) -> Damage | None:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return Damage(fault=Fault.NOT_A_FILE, name=file.name, inode=status.st_ino)
        if status.st_size != file.size:
            detail = f"{status.st_size} bytes instead of {file.size}"
            return Damage(fault=Fault.SIZE, name=file.name, detail=detail, inode=status.st_ino)
        digest, size = self.digests.of(fd, status)
        self.size += size
        if (digest, size) == (file.sha256, file.size):
            return None
        found[file.name] = digest
        detail = f"its sha256 is {digest} instead of {file.sha256}"
        return Damage(fault=Fault.CONTENT, name=file.name, detail=detail, inode=status.st_ino)

    def _blamed(self, damage: Damage, file: StagedFile, manifest: _Manifest, found: dict[str, str]) -> Damage:
        """The state, where the manifest that it knows says what is there."""
        entry = manifest.files.get(file.name)
        if entry is None or damage.fault not in {Fault.SIZE, Fault.CONTENT}:
            return damage
        if (entry.sha256, entry.size) == (file.sha256, file.size) or found.get(file.name, entry.sha256) != entry.sha256:
            return damage
        return Damage(fault=Fault.STATE, name=file.name, detail="the state says something else than its manifest")

    def _sums(self, there: int, manifest: _Manifest) -> Iterator[Damage]:
        if manifest.trouble is not None:
            # It is written anew with the manifest.
            return
        try:
            content = read_file(SUMS, at=there)
        except OSError as error:
            yield _unread(error, SUMS, Fault.SUMS, there)
            return
        if content is None:
            yield Damage(fault=Fault.SUMS, name=SUMS, detail="it is not there")
        # What is published is what the manifest has, nearly always.
        elif content != _sums_of(self.expected.shown) and content != _sums_of(manifest.files.values()):
            detail = "it says something else than the manifest"
            yield Damage(fault=Fault.SUMS, name=SUMS, detail=detail, inode=_inode(SUMS, there))

    def _foreign(self, there: int, manifest: _Manifest) -> Iterator[Damage]:
        """Names that nobody published, without those of publications deeper in the tree."""
        ours = {MANIFEST, SUMS, *(file.name for file in self.expected.shown)}
        told = 0
        ahead: list[tuple[str, ...]] = [()]
        for _ in range(_LOOKED_THROUGH):
            if not ahead or told >= _TOLD:
                return
            below = ahead.pop()
            for name, is_dir in self._listed(there, below):
                path = "/".join((*below, name))
                if is_dir:
                    ahead.append((*below, name))
                elif path not in ours and path not in manifest.files and told < _TOLD:
                    told += 1
                    yield Damage(fault=Fault.FOREIGN, name=_text(path))

    def _listed(self, there: int, below: tuple[str, ...]) -> list[tuple[str, bool]]:
        try:
            with directory(there, below) as at, os.scandir(at) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            # It was there a moment ago. Whatever it is now, nobody published it.
            return []
        return [] if below and any(name == MANIFEST for name, _ in found) else found


class _Manifest:
    """The manifest of one publication; what it says is read when it is asked."""

    def __init__(self, there: int, wanted: str) -> None:
        self.trouble: Damage | None = None
        self._content = b""
        try:
            content = read_file(MANIFEST, at=there)
        except OSError as error:
            self.trouble = _unread(error, MANIFEST, Fault.MANIFEST, there)
            return
        if content is None:
            self.trouble = Damage(fault=Fault.MANIFEST, name=MANIFEST, detail="it is not there")
        elif wanted and sha256(content).hexdigest() != wanted:
            self._is_bad(there, "it is not the one that was written")
        else:
            self._content = content
            if not wanted:
                try:
                    _ = self.files
                except (Corrupt, StoreError) as error:
                    self._is_bad(there, str(error))

    def _is_bad(self, there: int, detail: str) -> None:
        self.trouble = Damage(fault=Fault.MANIFEST, name=MANIFEST, detail=detail, inode=_inode(MANIFEST, there))
        self._content = b""

    @cached_property
    def files(self) -> Mapping[str, FileEntry]:
        """By name; none where the manifest is not the one that was written. Raises Corrupt, StoreError."""
        return manifests.parse(self._content, where=MANIFEST).by_name if self._content else {}


def _sums_of(files: Iterable[StagedFile | FileEntry]) -> bytes:
    return sums({file.name: file.sha256 for file in files})


def _unread(error: OSError, name: str, fault: Fault, at: int) -> Damage:
    if is_damage(error) or error.errno in {errno.EISDIR, *_NO_FILE}:
        detail = f"it cannot be read: {error.strerror}"
        return Damage(fault=fault, name=name, detail=detail, inode=_inode(name.rpartition("/")[2], at))
    raise error


def _inode(name: str, at: int) -> int | None:
    try:
        return os.stat(name, dir_fd=at, follow_symlinks=False).st_ino
    except OSError:
        return None


def _text(name: str) -> str:
    """Of a name that may be no text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

"""Step P6 of the publish protocol: staged bytes become visible, whole and durable, or not at all.

The order is what makes it safe. Objects first; then, for a destination that is not there, a whole directory built in staging
and made visible by one rename; for one that is there, new links beside the old, then SHA256SUMS, then the manifest. Every
step is durable before the next, and every step can be found done. All of it runs in one worker thread, several publications
step by step beside each other: directories that more than one of them changed are synced once for all.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, Obstructed
from artifact_sync.ports import Publication, Published
from artifact_sync.store import manifest as manifests
from artifact_sync.store.digest import content_of
from artifact_sync.store.disk import Syncer, disk_errors, write_all
from artifact_sync.store.layout import Layout
from artifact_sync.store.manifest import Manifest
from artifact_sync.store.objects import Objects, part_path
from artifact_sync.store.paths import (
    MANIFEST,
    SUMS,
    Directories,
    Place,
    components,
    directory,
    is_there,
    opened,
    scratch_name,
)
from artifact_sync.store.reading import read_file, read_manifest
from artifact_sync.store.sums import sums
from artifact_sync.store.together import OpenFile, Steps, together

__all__ = ["Publisher", "remove"]

_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Publishes into one store. One call per destination at a time."""

    layout: Layout
    sync: Syncer

    def publish(self, publication: Publication) -> Published:
        """Do it, or complete what an earlier call began. Raises NoSpace, StoreDamaged, Obstructed, Corrupt, StoreError."""
        (result,) = self.publish_all([publication])
        if isinstance(result, Exception):
            raise result
        return result

    def publish_all(self, publications: Sequence[Publication]) -> list[Published | Exception]:
        """Do several at once, of different destinations; for each what ``publish`` returns or raises."""
        with Directories(self.sync) as held:
            return together([self._steps(publication, held) for publication in publications], held, self.sync)

    @property
    def _objects(self) -> Objects:
        return Objects(layout=self.layout, sync=self.sync)

    def _steps(self, publication: Publication, held: Directories) -> Steps[Published]:
        dest = publication.transfer.dest
        *above, last = components(dest, what="destination")
        for file in publication.shown:
            components(file.name, what="file")
        parent: Place = (self.layout.tree, tuple(above))
        with disk_errors(f"publishing {dest}"):
            self.sync.require_sound()
            published = yield from self._fresh(publication, held, parent, last)
            if published is None:
                published = yield from self._merge(publication, held, parent, last)
            self._clear(publication)
            yield {(self.layout.staging, ()): "staging"}
        return published

    @contextmanager
    def _scratch(self, name: str) -> Iterator[int]:
        """A directory in staging; it may be moved away from there."""
        try:
            os.mkdir(name, 0o777, dir_fd=self.layout.staging)
        except FileExistsError:
            remove(name, at=self.layout.staging)
            os.mkdir(name, 0o777, dir_fd=self.layout.staging)
        try:
            with directory(self.layout.staging, (name,), make=self.sync) as scratch:
                yield scratch
        finally:
            # What cannot be removed now is removed by the next attempt, or swept at the next start.
            with suppress(OSError):
                remove(name, at=self.layout.staging)

    def _fresh(self, publication: Publication, held: Directories, parent: Place, last: str) -> Steps[Published | None]:
        """Build the whole directory and show it by one rename; None when something stands there already."""
        if is_there(last, at=held.at(parent)):
            return None
        dest, files = publication.transfer.dest, publication.shown
        manifest = manifests.merged(publication, None)
        encoded = manifests.encode(manifest)
        yield self._objects.adopt(files, held)
        scratch = scratch_name(dest)
        with self._scratch(scratch) as new:
            for file in files:
                self._place(file, held, into=new, scratch=new)
            self._sync_below(new, files)
            with self._written(SUMS, _sums(manifest), at=new) as one, self._written(MANIFEST, encoded, at=new) as other:
                yield {OpenFile(one): SUMS, OpenFile(other): MANIFEST}
            yield {(new, ()): "a new publication"}
            # A deeper destination may have made this directory meanwhile. Empty as it is, a rename would take it away from there.
            if is_there(last, at=held.at(parent)):
                return None
            try:
                os.rename(scratch, last, src_dir_fd=self.layout.staging, dst_dir_fd=held.at(parent))
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                return None
        yield {parent: f"the directory of {dest}"}
        return _published(dest, manifest, encoded)

    def _merge(self, publication: Publication, held: Directories, parent: Place, last: str) -> Steps[Published]:
        """Add to what stands there; the old stays readable and provable at every moment."""
        dest = publication.transfer.dest
        with self._scratch(scratch_name(dest)) as scratch, directory(held.at(parent), (last,)) as there:
            self.sync.admit(there)
            earlier = read_manifest(there, where=f"tree/{dest}/{MANIFEST}")
            manifest = manifests.merged(publication, earlier)
            encoded = manifests.encode(manifest)
            # All are judged before the first is touched.
            new = tuple(file for file in publication.shown if not self._stands(file, there, dest, earlier))
            yield self._objects.adopt(new, held)
            for file in new:
                self._set_damaged_aside(file, there)
                self._place(file, held, into=there, scratch=scratch)
            self._sync_below(there, publication.shown)
            self.sync.directory(there, dest)
            self._replace(SUMS, _sums(manifest), at=there, scratch=scratch)
            self._replace(MANIFEST, encoded, at=there, scratch=scratch)
        # The name in the parent may be what a killed run left before its fsync.
        yield {parent: f"the directory of {dest}"}
        return _published(dest, manifest, encoded)

    def _clear(self, publication: Publication) -> None:
        """Remove what nobody needs any more: parts of what was there already or is not shown, and directories of parts."""
        # As of the scratch directory: what cannot be removed now is swept at the next start.
        with suppress(OSError):
            for file in publication.files:
                self._objects.drop(file)
            for folder in {part_path(file)[0] for file in publication.files if "/" in file.part}:
                remove(folder, at=self.layout.staging)

    def _stands(self, file: StagedFile, there: int, dest: str, earlier: Manifest | None) -> bool:
        """Whether these bytes are there. Raises Corrupt for good bytes that are not these."""
        *below, name = components(file.name, what="file")
        try:
            with directory(there, below) as at:
                found = content_of(name, at=at)
                if found is None and is_there(name, at=at):
                    raise Obstructed(
                        f"tree/{dest}/{file.name} is not a regular file",
                        hint="Nothing but artifact-sync may write below tree/: remove what was put there.",
                    )
        except FileNotFoundError:
            return False
        if found is None or found == (file.sha256, file.size):
            return found is not None
        known = earlier.by_name.get(file.name) if earlier is not None else None
        if known is not None and found != (known.sha256, known.size):
            return False
        raise Corrupt(
            f"tree/{dest}/{file.name} holds {found[1]} bytes with sha256 {found[0]}, "
            f"now {file.size} bytes with sha256 {file.sha256} came",
            hint="What is published is never overwritten: move the old one out of the store if it is not wanted.",
        )

    def _set_damaged_aside(self, file: StagedFile, there: int) -> None:
        *below, name = components(file.name, what="file")
        with directory(there, below, make=self.sync) as at:
            if is_there(name, at=at):
                self._objects.quarantine(name, at=at)

    def _place(self, file: StagedFile, held: Directories, *, into: int, scratch: int) -> None:
        *below, name = components(file.name, what="file")
        with directory(into, below, make=self.sync) as at:
            self._objects.place(file, name, held, at=at, scratch=scratch)

    def _sync_below(self, root: int, files: tuple[StagedFile, ...]) -> None:
        """fsync the directories between ``root`` and the files, deepest first."""
        parents = {tuple(file.name.split("/")[:-1]) for file in files}
        every = {parent[:depth] for parent in parents for depth in range(1, len(parent) + 1)}
        for parts in sorted(every, key=lambda parts: (-len(parts), parts)):
            with directory(root, parts) as fd:
                self.sync.directory(fd, "/".join(parts))

    def _replace(self, name: str, content: bytes, *, at: int, scratch: int) -> None:
        if read_file(name, at=at) == content:
            return
        self._write(name, content, at=scratch)
        os.rename(name, name, src_dir_fd=scratch, dst_dir_fd=at)
        self.sync.directory(at, f"the directory of {name}")

    def _write(self, name: str, content: bytes, *, at: int) -> None:
        with self._written(name, content, at=at) as fd:
            self.sync.file(fd, name)

    @contextmanager
    def _written(self, name: str, content: bytes, *, at: int) -> Iterator[int]:
        """A new file of the store's own, not durable yet."""
        with opened(name, at=at, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600) as fd:
            write_all(fd, content)
            os.fchmod(fd, self.layout.mode)
            self.sync.access.give(fd)
            yield fd


def remove(name: str, *, at: int) -> bool:
    """Remove a file, a link or a whole directory of the directory ``at``; whether there was one. Raises OSError."""
    if not is_there(name, at=at):
        return False
    try:
        os.unlink(name, dir_fd=at)
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=at)
    return True


def _published(dest: str, manifest: Manifest, encoded: bytes) -> Published:
    return Published(dest=dest, size=manifest.size, manifest_sha256=sha256(encoded).hexdigest())


def _sums(manifest: Manifest) -> bytes:
    return sums({file.name: file.sha256 for file in manifest.files})

"""The store on a local directory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, Lock, to_thread

from artifact_sync.core.inspection import Expected, Inspection
from artifact_sync.core.model import StagedFile
from artifact_sync.core.unpacking import Rejected, Unpacked
from artifact_sync.errors import NoSpace, StoreError
from artifact_sync.ports import Place, Publication, Published
from artifact_sync.ports.rebuilding import FoundPublication, Strange
from artifact_sync.store.batches import Batches, each
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.exclusion import Exclusion
from artifact_sync.store.filesystem import free_bytes, sync_filesystem
from artifact_sync.store.gate import Gate
from artifact_sync.store.inspecting import Inspector
from artifact_sync.store.layout import LOCK, Layout, laid_out
from artifact_sync.store.links import linked
from artifact_sync.store.local_links import LocalLinks
from artifact_sync.store.local_trash import LocalTrash
from artifact_sync.store.lock import held
from artifact_sync.store.mending import mendable, set_aside
from artifact_sync.store.modes import Access
from artifact_sync.store.objects import Objects
from artifact_sync.store.part import SMALL, Finished, LocalPart
from artifact_sync.store.paths import MANIFEST, components, scratch_name
from artifact_sync.store.publish import Publisher, remove
from artifact_sync.store.reading import holds, is_staged, stands
from artifact_sync.store.reread import holds_on_disk, manifest_bytes
from artifact_sync.store.surveying import survey
from artifact_sync.store.unpack import unpack

__all__ = ["LocalStore"]

T = TypeVar("T")

#: Threads. Writers and the rest have their own, so that a long re-hash never holds up a download.
_WRITERS = 16
_OTHERS = 4
#: And at most for what is small and done in batches, on a slow disk: publications, and parts with one fsync each.
_BATCHES, _FINISHERS = 4, 16
#: Bytes and files of a publication that is small.
_SMALL, _FEW = 4 << 20, 16
_GIB = 1 << 30
#: Publications in one hop to a thread.
_SURVEYED = 50
_BY_UMASK = Access()


class LocalStore:
    """Implements ``ports.Store`` below one directory, which belongs to it alone while it is open."""

    def __init__(self, layout: Layout, sync: Syncer, gate: Gate, *, min_free: int) -> None:
        self._layout = layout
        self._gate = gate
        self._publisher = Publisher(layout=layout, sync=sync)
        self._objects = Objects(layout=layout, sync=sync)
        self._min_free = min_free
        self._writers = CapacityLimiter(_WRITERS)
        self._others = CapacityLimiter(_OTHERS)
        self._publications = Batches(self._publish_all, threads=_BATCHES)
        self._looks = Batches[None, int](self._look_for_all, threads=1)
        self._small_parts = Batches[Callable[[], Finished], Finished](self._finish_all, threads=_FINISHERS)
        self._turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()
        self._exclusion = Exclusion()
        #: As the port says.
        self.trash = LocalTrash(layout, sync, self._exclusion, self._thread)
        #: As the port says.
        self.links = LocalLinks(layout, sync, self._exclusion, self._thread)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, min_free: int = 0, access: Access = _BY_UMASK) -> AsyncIterator[Self]:
        """Lock and open the store at ``path``, making it where it is not there.

        ``min_free`` bytes stay free: below them no new part is opened. ``access`` is what new publications get. Raises StoreLocked when another process has it,
        StoreError and its kin when it cannot be used.
        """
        with ExitStack() as stack:
            sync, gate = Syncer(access), Gate()
            layout = await to_thread.run_sync(partial(_enter, stack, path, sync))
            stack.enter_context(gate.shut_after())
            yield cls(layout, sync, gate, min_free=min_free)

    @property
    def identity(self) -> str:
        """As the port says."""
        return self._layout.identity

    async def part(self, name: str, *, keep: int = 0, expected: int | None = None) -> LocalPart:
        """Open a part, or begin to hold a small one. Raises NoSpace below ``min_free``, StoreDamaged, StoreError."""
        _require_name(name)
        small = not keep and expected is not None and expected <= SMALL
        if not small:
            self._require_room(await self._thread(f"opening part {name}", self._look, self._writers))
        part = LocalPart(
            name,
            staging=self._layout.staging,
            mode=self._layout.mode,
            limiter=self._writers,
            gate=self._gate,
            small=self._small_parts,
        )
        if small:
            part.hold()
        else:
            await part.open(keep=keep)
        return part

    async def unpack(self, part: str, *, into: str, available: int) -> Unpacked | Rejected:
        """As the port says, by a process of its own."""
        for name in (part, into):
            _require_name(name)
        await self._thread(f"unpacking {part}", self._look)
        staging = self._layout.staging_path
        return await unpack(staging / part, staging / into, available=available, mode=self._layout.mode)

    async def publish(self, publication: Publication) -> Published:
        """Step P6. Raises NoSpace, StoreDamaged, Obstructed, Corrupt; StoreError for what cannot be a name."""
        turn = self._turns.setdefault(publication.transfer.dest, Lock())
        async with turn:
            if len(publication.files) <= _FEW and sum(file.size for file in publication.files) <= _SMALL:
                return await self._publications.do(publication)
            return await self._thread(f"publishing {publication.transfer.dest}", partial(self._publish, publication))

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """By hash. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread(f"checking {dest}", partial(holds, self._layout.tree, dest, files))

    async def reread(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As the port says. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread(f"reading {dest} again", partial(holds_on_disk, self._layout.tree, dest, files))

    async def manifest(self, dest: str) -> bytes | None:
        """As the port says. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread(
            f"reading the manifest of {dest}", partial(manifest_bytes, self._layout.tree, dest), self._writers
        )

    def place(self, dest: str) -> Place:
        """As the port says."""
        path = self._layout.path.joinpath("tree", *components(dest, what="destination"))
        return Place(path=str(path), manifest=str(path / MANIFEST))

    async def exists(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """By size. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread(f"looking at {dest}", partial(stands, self._layout, dest, files))

    async def staged(self, files: Sequence[StagedFile]) -> bool:
        """By hash. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread("checking staging", partial(is_staged, self._layout, self._objects, files))

    async def sync(self) -> None:
        """syncfs. Raises StoreDamaged when the disk did not take something that was written earlier."""
        await self._thread("syncing the store", partial(sync_filesystem, self._layout.staging))

    async def sweep(self, wanted: Callable[[str], bool]) -> int:
        """Remove what is not wanted, but for a publication that is just being built."""
        busy = {scratch_name(dest) for dest in self._turns} | self.links.busy
        return await self._thread("sweeping staging", partial(_sweep, self._layout.staging, wanted, busy))

    async def free(self) -> int:
        """Bytes free to this user."""
        return await self._looks.do(None)

    async def linked(self) -> frozenset[str]:
        """As the port says."""
        return await self._thread("looking for links", partial(linked, self._layout.tree))

    def inspector(self, *, threads: int = 1, progress: Callable[[int], None] = lambda _: None) -> Inspector:
        """As the port says."""
        return Inspector(self._tree, threads=threads, progress=progress)

    async def survey(self) -> AsyncIterator[FoundPublication | Strange]:
        """Implements ``ports.rebuilding.Survey``."""
        found = survey(self._layout)
        while batch := await self._thread("looking through the store", lambda: list(islice(found, _SURVEYED))):
            for one in batch:
                yield one

    async def set_aside(self, expected: Expected, inspection: Inspection) -> frozenset[str]:
        """As the port says."""
        turn = self._turns.setdefault(expected.dest, Lock())
        async with turn:
            work = partial(set_aside, self._layout, self._publisher.sync, expected, inspection)
            return await self._thread(f"setting aside what is damaged of {expected.dest}", work)

    async def restore(self, publication: Publication) -> Published | None:
        """As the port says."""
        turn = self._turns.setdefault(publication.transfer.dest, Lock())
        async with turn:
            return await self._thread(f"mending {publication.transfer.dest}", partial(self._restore, publication))

    @contextmanager
    def _tree(self) -> Iterator[int]:
        with self._gate.passed():
            yield self._layout.tree

    def _look(self) -> int:
        """Bytes free, once the store is known to be there."""
        self._layout.require_there()
        return free_bytes(self._layout.staging)

    def _look_for_all(self, who: Sequence[None]) -> list[int]:
        with self._gate.passed(), disk_errors("asking for free space"):
            return [free_bytes(self._layout.staging)] * len(who)

    def _finish_all(self, works: Sequence[Callable[[], Finished]]) -> list[Finished | Exception]:
        # Small parts are opened here only.
        with self._gate.passed(), disk_errors("finishing small parts"):
            self._require_room(self._look())
        return each(works)

    def _require_room(self, free: int) -> None:
        if free < self._min_free:
            raise NoSpace(
                f"{free / _GIB:.2f} GiB are free on the store's disk, less than store.min_free ({self._min_free / _GIB:.2f} GiB)",
                hint="Free some space or give the store a larger disk; downloads go on by themselves then.",
            )

    def _publish(self, publication: Publication) -> Published:
        self._layout.require_there()
        with self._exclusion.shared():
            return self._publisher.publish(publication)

    def _publish_all(self, publications: Sequence[Publication]) -> list[Published | Exception]:
        with self._gate.passed(), disk_errors("publishing"):
            self._layout.require_there()
            with self._exclusion.shared():
                return self._publisher.publish_all(publications)

    def _restore(self, publication: Publication) -> Published | None:
        self._layout.require_there()
        with self._exclusion.shared():
            whole = mendable(self._layout, self._publisher.sync, publication)
            return None if whole is None else self._publisher.publish(whole)

    async def _thread(self, doing: str, work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
        def guarded() -> T:
            with self._gate.passed(), disk_errors(doing):
                return work()

        return await to_thread.run_sync(guarded, limiter=limiter or self._others)


def _require_name(name: str) -> None:
    if not name or "/" in name or "\0" in name or name.startswith((".", "link-", "publish-")):
        raise StoreError(f"{name!r} is no name of a part", hint="This is an error in artifact-sync: please report it.")


def _enter(stack: ExitStack, path: Path, sync: Syncer) -> Layout:
    with disk_errors(f"making the store {path}"):
        new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
    stack.enter_context(held(path / LOCK))
    layout = stack.enter_context(laid_out(path.resolve(), sync))
    if new:
        with disk_errors(f"making the store {path}"):
            sync.admit(layout.root)
    return layout


def _sweep(staging: int, wanted: Callable[[str], bool], busy: set[str]) -> int:
    removed = sum(remove(name, at=staging) for name in os.listdir(staging) if name not in busy and not wanted(name))
    if removed:
        os.fsync(staging)
    return removed

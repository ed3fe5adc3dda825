"""The store on a local directory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, Lock, to_thread

from artifact_sync.core.model import StagedFile
from artifact_sync.core.unpacking import Rejected, Unpacked
from artifact_sync.errors import NoSpace, StoreError
from artifact_sync.ports import Publication, Published
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.filesystem import free_bytes, sync_filesystem
from artifact_sync.store.gate import Gate
from artifact_sync.store.layout import LOCK, Layout, laid_out
from artifact_sync.store.lock import held
from artifact_sync.store.objects import Objects
from artifact_sync.store.part import LocalPart
from artifact_sync.store.paths import scratch_name
from artifact_sync.store.publish import Publisher, remove
from artifact_sync.store.reading import holds, is_staged, stands
from artifact_sync.store.unpack import unpack

__all__ = ["LocalStore"]

T = TypeVar("T")

#: Threads. Writers and the rest have their own, so that a long re-hash never holds up a download.
_WRITERS = 16
_OTHERS = 4
_GIB = 1 << 30


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
        self._turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, min_free: int = 0) -> AsyncIterator[Self]:
        """Lock and open the store at ``path``, making it where it is not there.

        ``min_free`` bytes stay free: below them no new part is opened. Raises StoreLocked when another process has it,
        StoreError and its kin when it cannot be used.
        """
        with ExitStack() as stack:
            sync, gate = Syncer(), Gate()
            layout = await to_thread.run_sync(partial(_enter, stack, path, sync))
            stack.enter_context(gate.shut_after())
            yield cls(layout, sync, gate, min_free=min_free)

    @property
    def identity(self) -> str:
        """As the port says."""
        return self._layout.identity

    async def part(self, name: str, *, keep: int = 0) -> LocalPart:
        """Open a part. Raises NoSpace below ``min_free``, StoreDamaged, StoreError."""
        _require_name(name)
        free = await self._thread(f"opening part {name}", self._look, self._writers)
        if free < self._min_free:
            raise NoSpace(
                f"{free / _GIB:.2f} GiB are free on the store's disk, less than store.min_free ({self._min_free / _GIB:.2f} GiB)",
                hint="Free some space or give the store a larger disk; downloads go on by themselves then.",
            )
        part = LocalPart(
            name, staging=self._layout.staging, mode=self._layout.mode, limiter=self._writers, gate=self._gate
        )
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
            return await self._thread(f"publishing {publication.transfer.dest}", partial(self._publish, publication))

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """By hash. Raises StoreDamaged when the disk cannot be read."""
        return await self._thread(f"checking {dest}", partial(holds, self._layout.tree, dest, files))

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
        busy = {scratch_name(dest) for dest in self._turns}
        return await self._thread("sweeping staging", partial(_sweep, self._layout.staging, wanted, busy))

    async def free(self) -> int:
        """Bytes free to this user."""
        return await self._thread("asking for free space", partial(free_bytes, self._layout.staging), self._writers)

    def _look(self) -> int:
        """Bytes free, once the store is known to be there."""
        self._layout.require_there()
        return free_bytes(self._layout.staging)

    def _publish(self, publication: Publication) -> Published:
        self._layout.require_there()
        return self._publisher.publish(publication)

    async def _thread(self, doing: str, work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
        def guarded() -> T:
            with self._gate.passed(), disk_errors(doing):
                return work()

        return await to_thread.run_sync(guarded, limiter=limiter or self._others)


def _require_name(name: str) -> None:
    if not name or "/" in name or "\0" in name or name.startswith((".", "publish-")):
        raise StoreError(f"{name!r} is no name of a part", hint="This is an error in artifact-sync: please report it.")


def _enter(stack: ExitStack, path: Path, sync: Syncer) -> Layout:
    with disk_errors(f"making the store {path}"):
        path.mkdir(parents=True, exist_ok=True)
    stack.enter_context(held(path / LOCK))
    return stack.enter_context(laid_out(path.resolve(), sync))


def _sweep(staging: int, wanted: Callable[[str], bool], busy: set[str]) -> int:
    removed = sum(remove(name, at=staging) for name in os.listdir(staging) if name not in busy and not wanted(name))
    if removed:
        os.fsync(staging)
    return removed

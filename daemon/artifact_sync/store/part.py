"""A growing file in staging, written and hashed by one hop to a thread for each batch; a small one by one hop altogether."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import islice
from typing import BinaryIO, TypeVar

from anyio import CapacityLimiter, to_thread

from artifact_sync.errors import StoreDamaged, StoreError
from artifact_sync.store.alongside import alongside
from artifact_sync.store.batches import Batches
from artifact_sync.store.digest import feed
from artifact_sync.store.disk import disk_errors, is_damage
from artifact_sync.store.gate import Gate
from artifact_sync.store.paths import opened

__all__ = ["SMALL", "Finished", "LocalPart"]

T = TypeVar("T")

#: (sha256 in hex, size in bytes).
Finished = tuple[str, int]

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o600
#: Bytes that are held until the part is finished, where no more are expected. A hop costs as much as bringing 10 KiB.
SMALL = 1 << 20
#: Chunks in one call; Linux takes 1024 (IOV_MAX). And the bytes that end it: they are hashed while the next are written.
_VECTOR, _PIECE = 512, 256 << 10


class LocalPart:
    """Implements ``ports.Part`` on a file of the store's staging directory.

    Its calls take turns even where a cancelled one still runs in its thread. aiofiles is not used here: it makes one
    hop per call of the file, and hashing off the loop would need a second one.
    """

    def __init__(
        self,
        name: str,
        *,
        staging: int,
        mode: int,
        limiter: CapacityLimiter,
        gate: Gate,
        small: Batches[Callable[[], Finished], Finished],
    ) -> None:
        self.name = name
        self.size = 0
        self.watch: Callable[[bytes | memoryview], None] | None = None
        self._small = small
        #: What a small part has, as long as there is no file of it.
        self._held: list[bytes] | None = None
        self._staging = staging
        self._mode = mode
        self._limiter = limiter
        self._gate = gate
        self._fd = -1
        self._named = False
        self._damaged = False
        #: Where the file ends; behind ``size`` it has holes.
        self._furthest = 0
        self._hash = hashlib.sha256()
        self._turn = threading.Lock()

    @property
    def in_memory(self) -> bool:
        """Whether ``reader`` reads no file."""
        return self._held is not None

    async def open(self, *, keep: int) -> None:
        """Open the file; only the store calls this. Raises NoSpace, StoreDamaged, StoreError."""
        await self._run(partial(self._open, keep))

    def hold(self) -> None:
        """Begin a small part, which has no file for as long as possible; only the store calls this."""
        self._held = []

    async def append(self, *batch: bytes | bytearray | memoryview) -> None:
        """Write and hash one batch. Raises NoSpace (what was written stays); StoreDamaged, and the part is gone."""
        if not self._hold(batch):
            await self._run(partial(self._append, batch))

    async def place(self, offset: int, *batch: bytes | bytearray | memoryview) -> None:
        """Write one batch ahead of what is hashed. Raises as ``append``."""
        await self._run(partial(self._place, offset, batch))

    async def adopt(self, size: int) -> None:
        """Hash what was placed up to ``size``. Raises StoreDamaged, and the part is gone."""
        await self._run(partial(self._adopt, size))

    async def restart(self) -> None:
        """Begin again in a new file, also after a failure. Raises NoSpace, StoreDamaged."""
        await self._run(partial(self._open, 0))

    async def checkpoint(self) -> int:
        """fsync the file and, the first time, its name; the durable size. Raises StoreDamaged, and the part is gone.

        The file may be written meanwhile: what comes after the call counts for the next one.
        """
        return await to_thread.run_sync(self._checkpoint, limiter=self._limiter)

    async def finish(self) -> Finished:
        """fsync once and close: (sha256 in hex, size). Raises StoreDamaged, NoSpace, and the part is gone."""
        if self._held is not None:
            return await self._small.do(partial(self._in_turn, self._finish))
        return await self._run(self._finish)

    async def close(self) -> None:
        """Close and leave the file."""
        await self._run(self._leave)

    async def discard(self) -> None:
        """Close and remove the file."""
        await self._run(self._discard)

    def reader(self) -> BinaryIO:
        """A read-only view of its own. Raises StoreDamaged when the file is not there or cannot be opened."""
        if self._held is not None:
            return BytesIO(b"".join(self._held))
        try:
            fd = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._staging)
        except OSError as error:
            raise StoreDamaged(
                f"part {self.name} cannot be read: {error.strerror}",
                hint="Nothing but artifact-sync may work in the store's .staging directory.",
            ) from error
        return os.fdopen(fd, "rb")

    async def _run(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(self._in_turn, work, limiter=self._limiter)

    def _in_turn(self, work: Callable[[], T]) -> T:
        with self._turn, self._gate.passed(), disk_errors(f"part {self.name}"):
            return work()

    def _open(self, keep: int) -> None:
        self._held = None
        self._close()
        self._damaged = False
        self.size = self._furthest = 0
        self._hash = hashlib.sha256()
        if keep > 0 and self._reopen(keep):
            return
        self._named = False
        try:
            self._fd = os.open(self.name, _NEW, _PRIVATE, dir_fd=self._staging)
        except FileExistsError:
            os.unlink(self.name, dir_fd=self._staging)
            self._fd = os.open(self.name, _NEW, _PRIVATE, dir_fd=self._staging)

    def _reopen(self, keep: int) -> bool:
        """Take up a file of its own making: regular, in nobody else's hands, and long enough."""
        try:
            with opened(self.name, at=self._staging) as fd:
                status = os.fstat(fd)
                # A part with a second name is an object already: cutting it would cut what is published.
                if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size < keep:
                    return False
                os.fchmod(fd, _PRIVATE)
        except OSError:
            return False
        self._fd = os.open(self.name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._staging)
        os.ftruncate(self._fd, keep)
        self.size = self._furthest = feed(self._hash, self._fd, start=0, length=keep)
        return True

    def _hold(self, batch: Sequence[bytes | bytearray | memoryview]) -> bool:
        """Hold one more batch, where nothing was written yet; whether it is held."""
        # A checkpoint may be making a file of it just now.
        if self._held is None or not self._turn.acquire(blocking=False):
            return False
        try:
            chunks = [bytes(chunk) for chunk in batch]
            size = self.size + sum(map(len, chunks))
            if self._held is None or size > SMALL:
                return False
            self._held += chunks
            self.size = size
        finally:
            self._turn.release()
        return True

    def _write_held(self) -> None:
        """Make a file of what was held."""
        if self._held is not None:
            held = self._held
            self._open(0)
            self._append(held)

    def _append(self, batch: Sequence[bytes | bytearray | memoryview]) -> None:
        self._write_held()
        few = sum(map(len, batch)) < 2 * _PIECE
        with contextlib.nullcontext(self._show) if few else alongside(self._show) as show:
            for written in self._written(self.size, batch):
                self.size += len(written)
                show(written)

    def _show(self, written: memoryview) -> None:
        self._hash.update(written)
        if self.watch is not None:
            self.watch(written)

    def _place(self, offset: int, batch: Sequence[bytes | bytearray | memoryview]) -> None:
        self._write_held()
        for _ in self._written(offset, batch):
            pass

    def _written(self, offset: int, batch: Sequence[bytes | bytearray | memoryview]) -> Iterator[memoryview]:
        """Write the chunks from ``offset`` on, many in a call and none copied; what was written, piece by piece."""
        self._require_open()
        rest = deque(memoryview(chunk).cast("B") for chunk in batch if chunk)
        try:
            while rest:
                written = os.pwritev(self._fd, tuple(_piece(rest)), offset)
                offset += written
                self._furthest = max(self._furthest, offset)
                while written:
                    chunk = rest.popleft()
                    yield chunk[:written]
                    if written < len(chunk):
                        rest.appendleft(chunk[written:])
                    written -= min(written, len(chunk))
        except OSError as error:
            if is_damage(error):
                self._damaged = True
                with contextlib.suppress(OSError):
                    self._discard()
            raise

    def _adopt(self, size: int) -> None:
        self._write_held()
        self._require_open()
        self.size += feed(self._hash, self._fd, start=self.size, length=size - self.size, watch=self.watch)
        if self.size < size:
            raise StoreDamaged(
                f"part {self.name} ends at {self.size}, though {size} bytes were written",
                hint="Nothing but artifact-sync may work in the store's .staging directory.",
            )

    def _checkpoint(self) -> int:
        with self._gate.passed(), disk_errors(f"part {self.name}"):
            with self._turn:
                self._write_held()
                self._require_open()
                fd, size = os.dup(self._fd), self.size
            # Outside of the turn: the next batch must not wait for the disk to take all those before it.
            try:
                os.fsync(fd)
                if not self._named:
                    os.fsync(self._staging)
                    self._named = True
            except OSError as error:
                with self._turn:
                    self._lost(error)
            finally:
                os.close(fd)
            return size

    def _finish(self) -> Finished:
        try:
            self._write_held()
            self._require_open()
            if self._furthest > self.size:
                os.ftruncate(self._fd, self.size)
            # Read-only from here: what is published shares this inode, and one careless write would reach all of it.
            os.fchmod(self._fd, self._mode)
        except OSError:
            self._discard()
            raise
        self._sync(self._fd)
        try:
            self._close()
        except OSError as error:
            self._lost(error)
        return self._hash.hexdigest(), self.size

    def _sync(self, fd: int) -> None:
        try:
            os.fsync(fd)
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        """fsync is never asked twice: the kernel may have marked what it lost as clean."""
        self._damaged = True
        with contextlib.suppress(OSError):
            self._discard()
        raise StoreDamaged(
            f"part {self.name} did not reach the disk: {error.strerror}",
            hint="Its download starts again from the first byte. Look at the kernel's log and check the store's disk.",
        ) from error

    def _leave(self) -> None:
        self._write_held()
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _discard(self) -> None:
        self._held = None
        try:
            self._close()
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.name, dir_fd=self._staging)

    def _require_open(self) -> None:
        if self._fd < 0:
            kind = StoreDamaged if self._damaged else StoreError
            raise kind(
                f"part {self.name} is closed", hint="An earlier write of it failed; its download must start again."
            )


def _piece(chunks: Iterable[memoryview]) -> Iterator[memoryview]:
    """The first of them, as many as one call takes."""
    size = 0
    for chunk in islice(chunks, _VECTOR):
        yield chunk
        size += len(chunk)
        if size >= _PIECE:
            return

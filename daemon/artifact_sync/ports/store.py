"""The place where artifacts become visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from artifact_sync.core.inspection import Expected, Inspection
from artifact_sync.core.model import StagedFile, Transfer
from artifact_sync.core.unpacking import Rejected, Unpacked
from artifact_sync.ports.inspector import Inspector
from artifact_sync.ports.links import Links, LinkView
from artifact_sync.ports.trash import Trash

__all__ = ["Copies", "Part", "Place", "Publication", "Published", "Shelf", "Store"]


class Part(Protocol):
    """A growing file in staging. It hashes what it writes, off the event loop. One user at a time."""

    #: File name inside ``.staging/``.
    name: str
    #: Bytes written so far, the kept prefix included.
    size: int
    #: Shown what is appended or adopted, all of it and in order, in the thread that hashes it; it must not raise.
    watch: Callable[[bytes | memoryview], None] | None

    @property
    def in_memory(self) -> bool:
        """Whether everything of it is still held in memory, and ``reader`` does not touch the disk."""

    async def append(self, *batch: bytes | bytearray | memoryview) -> None:
        """Write one batch of chunks (best at 1 MiB or more together). Raises NoSpace, StoreDamaged."""

    async def place(self, offset: int, *batch: bytes | bytearray | memoryview) -> None:
        """Write one batch from ``offset`` on, behind ``size``, which stays as it is. Raises NoSpace, StoreDamaged."""

    async def adopt(self, size: int) -> None:
        """Take what was placed, without a gap, up to ``size`` for appended: it is read back and hashed. Raises StoreDamaged."""

    async def restart(self) -> None:
        """Forget everything written and begin again at byte 0 in a new file."""

    async def checkpoint(self) -> int:
        """Make what is written durable; the durable size. After a failure the part is gone (fsync is never retried).

        The part may be written to meanwhile.
        """

    def reader(self) -> BinaryIO:
        """A seekable, buffered, read-only view of what was appended so far, for a worker thread; the caller closes it.

        Independent of the part's own handle: it stays good through ``finish`` and ``close``. Raises StoreDamaged.
        """

    async def finish(self) -> tuple[str, int]:
        """fsync once and close: (sha256 in hex, size). After a failure the part is gone. Raises NoSpace, StoreDamaged."""

    async def close(self) -> None:
        """Close and leave the file, to be resumed. Safe to call again."""

    async def discard(self) -> None:
        """Close and remove the file. Safe to call again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is to become visible at ``dest``."""

    transfer: Transfer
    files: tuple[StagedFile, ...]
    #: The server's time of the publication.
    at: datetime

    @property
    def shown(self) -> tuple[StagedFile, ...]:
        """Those that become visible. The others are for the manifest alone, and their parts are removed."""
        return tuple(file for file in self.files if file.published)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became visible. ``manifest_sha256`` is of the manifest as written."""

    dest: str
    size: int
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Absolute paths of a publication's directory and of the manifest in it."""

    path: str
    manifest: str


class Store(Protocol):
    """The place where artifacts become visible, whole or not at all."""

    @property
    def identity(self) -> str:
        """Made with the store, and staying with it wherever it is moved or mounted."""

    @property
    def trash(self) -> Trash:
        """Where retention moves publications."""

    @property
    def links(self) -> Links:
        """Links to the newest publications."""

    async def part(self, name: str, *, keep: int = 0, expected: int | None = None) -> Part:
        """Open a part. ``keep`` bytes of an existing one are kept (truncated to it, re-hashed); fewer there: starts at 0.

        ``expected`` bytes will come, as far as that is known: a small part may be held in memory until it is finished or
        closed, and its errors come then.
        """

    async def unpack(self, part: str, *, into: str, available: int) -> Unpacked | Rejected:
        """Unpack a finished part, an archive, into the directory ``into`` of staging: whole and durable, or not at all.

        What stands there is removed first. ``available`` bytes may be written. Each file is a part of its own then, named
        ``{into}/{path}``. Raises DoesNotFit, NoSpace, StoreDamaged, StoreError.
        """

    async def publish(self, publication: Publication) -> Published:
        """Step P6 of the publish protocol: objects, links, SHA256SUMS, manifest, durable in that order.

        Idempotent: after a crash at any point, calling it again with the same publication completes it. Adds to a
        directory that another rule published, never overwrites other bytes. Raises NoSpace, StoreDamaged, Obstructed, Corrupt.
        """

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """Whether all files stand at ``dest`` with size and sha256 as given, under a manifest that names them."""

    async def reread(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``has``, of what the disk gives back and not of what memory still knows, as far as the system lets it."""

    async def manifest(self, dest: str) -> bytes | None:
        """The manifest of a publication as it was written; None where none stands at ``dest``."""

    def place(self, dest: str) -> Place:
        """Where a publication stands for the programs of this machine, whether it is there or not."""

    async def exists(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``has``, but by size alone."""

    async def staged(self, files: Sequence[StagedFile]) -> bool:
        """Whether all parts lie in staging, or were already moved among the objects, with size and sha256 as given.

        True means that ``publish`` needs no new download, also after it was killed half-way.
        """

    async def sync(self) -> None:
        """syncfs of the store: what a killed run left in the page cache becomes durable."""

    async def sweep(self, wanted: Callable[[str], bool]) -> int:
        """Remove what lies in staging and is not ``wanted`` by name; how many."""

    async def free(self) -> int:
        """Bytes free to this user."""

    async def linked(self) -> frozenset[str]:
        """Destinations that symbolic links in the tree point at. Raises StoreError."""

    def inspector(self, *, threads: int = 1, progress: Callable[[int], None] = lambda _: None) -> Inspector:
        """A look at everything. ``progress`` learns from any thread how many bytes were read."""

    async def set_aside(self, expected: Expected, inspection: Inspection) -> frozenset[str]:
        """Move what is damaged into ``.quarantine``, its object with it: nobody reads it or is linked to it any more.

        What is foreign stays. The sha256 of files whose bytes have still other names in the tree, which are damaged alike.
        Raises NoSpace, StoreDamaged, StoreError.
        """

    async def restore(self, publication: Publication) -> Published | None:
        """Put back what is not there out of good copies among the objects, as ``publish`` does; None where there are none.

        Raises as ``publish``.
        """


class Copies(Protocol):
    """A look at what is published, also beside the process that works on the store."""

    @property
    def links(self) -> LinkView:
        """Links to the newest publications; none where the store is another one than the state's."""

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``Store.has``; never where the store is another one than the state's. Raises StoreError."""


class Shelf(Copies, Protocol):
    """What is published, for those who read it."""

    def inspector(self, *, threads: int = 1, progress: Callable[[int], None] = lambda _: None) -> Inspector:
        """As ``Store.inspector``; where the store is another one than the state's, nothing is there."""

    async def hand_out(self, dest: str, files: Sequence[StagedFile], into: Path, *, force: bool) -> None:
        """Copy published files below a folder of somebody's own, proved while they are copied; all of them or none.

        What stands there is replaced with ``force`` alone. Raises UsageError for what stands there, StoreDamaged when a file
        is not as it was published, StoreError.
        """


# --- State ------------------------------------------------------------------------------------------------------------

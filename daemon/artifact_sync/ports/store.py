"""The place where artifacts become visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from artifact_sync.core.model import StagedFile, Transfer
from artifact_sync.core.unpacking import Rejected, Unpacked

__all__ = ["Copies", "Part", "Publication", "Published", "Store"]


class Part(Protocol):
    """A growing file in staging. It hashes what it writes, off the event loop. One user at a time."""

    #: File name inside ``.staging/``.
    name: str
    #: Bytes written so far, the kept prefix included.
    size: int

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
        """fsync once and close: (sha256 in hex, size). After a failure the part is gone."""

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


class Store(Protocol):
    """The place where artifacts become visible, whole or not at all."""

    @property
    def identity(self) -> str:
        """Made with the store, and staying with it wherever it is moved or mounted."""

    async def part(self, name: str, *, keep: int = 0) -> Part:
        """Open a part. ``keep`` bytes of an existing one are kept (truncated to it, re-hashed); fewer there: starts at 0."""

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


class Copies(Protocol):
    """A look at what is published, also beside the process that works on the store."""

    async def has(self, dest: str, files: Sequence[StagedFile]) -> bool:
        """As ``Store.has``; never where the store is another one than the state's. Raises StoreError."""


# --- State ------------------------------------------------------------------------------------------------------------

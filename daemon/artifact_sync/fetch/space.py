"""Free space, shared by all downloads: what one of them has been promised is not there for another."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio

from artifact_sync.errors import DoesNotFit, NoSpace
from artifact_sync.ports import Room

__all__ = ["Claim", "DiskReserve"]

#: Bytes promised at a time to a download whose size is not known.
_STEP = 8 << 20
#: With less than this above the reserve there is room for nothing that is worth trying.
_ROOM = 1 << 20


class DiskReserve:
    """Keeps ``min_free`` bytes of the store's disk free."""

    def __init__(self, store: Room, *, min_free: int) -> None:
        self._store = store
        self._min_free = min_free
        self._claims: set[Claim] = set()
        self._turn = anyio.Lock()

    async def claim(self, size: int | None) -> Claim:
        """Promise ``size`` bytes (None: not known, they are promised as they come) to a download; a context manager.

        Raises DoesNotFit when that is more than there is, NoSpace when there is next to nothing.
        """
        claim = Claim(self, size)
        # Entered before the first wait, so that two downloads never see the same free bytes.
        self._claims.add(claim)
        try:
            await self.check()
        except BaseException:
            self._claims.discard(claim)
            raise
        return claim

    async def check(self) -> None:
        """Raise DoesNotFit or NoSpace when what is promised would leave less than the reserve."""
        await self._spare(0)

    async def spare(self) -> int:
        """Bytes that nobody was promised. Raises as ``check``."""
        return await self._spare(0)

    async def extend(self, claim: Claim, size: int) -> None:
        """Promise at least ``size`` more bytes. Raises as ``claim``."""
        async with self._turn:
            spare = await self._spare(size)
            claim.promise(min(max(size, _STEP), spare))

    def release(self, claim: Claim) -> None:
        """The download ended."""
        self._claims.discard(claim)

    async def _spare(self, size: int) -> int:
        """Bytes that nobody was promised, at least ``size``."""
        # Before the wait: what is written meanwhile then counts twice, never not at all.
        promised = sum(claim.left for claim in self._claims)
        free = await self._store.free()
        spare = free - promised - self._min_free
        if spare >= size:
            return spare
        # Bytes without a known size are thrown away when their download is given up.
        regained = sum(claim.loose for claim in self._claims)
        kind = DoesNotFit if free + regained >= self._min_free + _ROOM else NoSpace
        raise kind(
            f"{free} bytes are free on the store's disk and running downloads need {promised + size} more: "
            f"less than store.min_free ({self._min_free} bytes) would be left",
            hint="Free some space or give the store a larger disk; downloads go on by themselves then.",
        )


class Claim:
    """Bytes promised to one download; ``left`` of them are not written yet."""

    def __init__(self, reserve: DiskReserve, size: int | None) -> None:
        self._reserve = reserve
        self._sized = size is not None
        self._received = 0
        self._promised = size or 0
        self.left = size or 0
        #: Bytes written that nobody could know of before.
        self.loose = 0

    async def receive(self, size: int) -> None:
        """So many bytes came and will be written. Raises DoesNotFit or NoSpace where there is no room for them."""
        self._received += size
        lacking = self._received - self._promised
        if not self._sized and lacking > 0:
            await self._reserve.extend(self, lacking)

    def promise(self, size: int) -> None:
        """So many more may be written."""
        self._promised += size
        self.left += size

    def written(self, size: int) -> None:
        """These now show in the free space."""
        self.left = max(0, self.left - size)
        self.loose += 0 if self._sized else size

    async def check(self) -> None:
        """Raise DoesNotFit or NoSpace when somebody else has used up the reserve."""
        await self._reserve.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reserve.release(self)

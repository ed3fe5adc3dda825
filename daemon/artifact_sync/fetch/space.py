"""Free space, shared by all downloads: what one of them has been promised is not there for another."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from artifact_sync.errors import NoSpace
from artifact_sync.ports import Store

__all__ = ["Claim", "DiskReserve"]


class DiskReserve:
    """Keeps ``min_free`` bytes of the store's disk free."""

    def __init__(self, store: Store, *, min_free: int) -> None:
        self._store = store
        self._min_free = min_free
        self._claims: set[Claim] = set()

    async def claim(self, size: int) -> Claim:
        """Promise ``size`` bytes (0: not known) to a download; a context manager. Raises NoSpace."""
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
        """Raise NoSpace when what is promised would leave less than the reserve."""
        free = await self._store.free()
        promised = sum(claim.left for claim in self._claims)
        if free - promised < self._min_free:
            raise NoSpace(
                f"{free} bytes are free on the store's disk and running downloads need {promised} more: "
                f"less than store.min_free ({self._min_free} bytes) would be left",
                hint="Free some space or give the store a larger disk; downloads go on by themselves then.",
            )

    def release(self, claim: Claim) -> None:
        """The download ended."""
        self._claims.discard(claim)


class Claim:
    """Bytes promised to one download; ``left`` of them are not written yet."""

    def __init__(self, reserve: DiskReserve, size: int) -> None:
        self._reserve = reserve
        self.left = size

    def written(self, size: int) -> None:
        """These now show in the free space."""
        self.left = max(0, self.left - size)

    async def check(self) -> None:
        """Raise NoSpace when somebody else has used up the reserve."""
        await self._reserve.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reserve.release(self)

"""A look at what is published that reads every byte of it."""

from __future__ import annotations

from typing import Protocol

from artifact_sync.core.inspection import Expected, Inspection

__all__ = ["Inspector"]


class Inspector(Protocol):
    """Reads what is published at idle IO priority. The bytes behind several names are read once in its life."""

    async def inspect(self, *expected: Expected) -> tuple[Inspection, ...]:
        """What stands at each destination, by hash.

        It changes nothing and takes no part in the store's order: what is published or taken away meanwhile may look
        damaged. When cancelled it ends within a block. Raises StoreDamaged where the disk refuses more than one file,
        StoreError.
        """

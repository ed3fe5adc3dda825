"""Links to the newest of several publications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from artifact_sync.core.newest import Link, Linkable

__all__ = ["LinkView", "Links"]


class LinkView(Protocol):
    """A look at the links of a store."""

    async def pointed(self, links: Iterable[str]) -> Mapping[str, str]:
        """Of the links at these paths those that are there, with the destinations that they name; also of nothing any more.

        Raises StoreDamaged, StoreError.
        """


class Links(LinkView, Protocol):
    """The links of a store. They remember nothing but where they point."""

    async def point(self, link: Link, to: Linkable) -> bool:
        """Have the link point at a publication unless it points at a newer one; whether it points there now.

        Readers find it at one or the other, at every moment and after a crash: it is durable when this returns. A link that
        leads nowhere counts as none, and nothing happens where ``to`` is not published. Raises Obstructed where something
        else stands, or a link in its way; NoSpace, StoreDamaged, StoreError.
        """

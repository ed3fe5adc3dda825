"""How many bytes an item may have."""

from __future__ import annotations

from dataclasses import dataclass

from artifact_sync.core.model import Item
from artifact_sync.errors import Corrupt, TooLarge

__all__ = ["Bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bytes an item must have (``announced``) and may have (``max_size``); None: no such bound."""

    announced: int | None
    max_size: int | None

    @classmethod
    def of(cls, item: Item, max_size: int | None) -> Bounds:
        """The bounds of an item. A log may have grown since its size was announced."""
        return cls(announced=None if item.kind == "trace" else item.size, max_size=max_size)

    def check(self, size: int) -> None:
        """Raise TooLarge or Corrupt when ``size`` bytes, received or promised, are too many."""
        # First: more than was announced is this answer's fault alone, and may pass.
        if self.announced is not None and size > self.announced:
            raise self._other(f"{size} or more")
        if self.max_size is not None and size > self.max_size:
            raise TooLarge(
                f"{size} bytes or more, the rule's max_size is {self.max_size}",
                hint="Raise fetch.max_size of the rule if this is wanted.",
            )

    def most(self, promised: int) -> int:
        """Of so many bytes promised, those that can come to lie on the disk."""
        return min(size for size in (promised, self.announced, self.max_size) if size is not None)

    def check_whole(self, size: int) -> None:
        """Raise TooLarge or Corrupt unless ``size``, of the whole item, is as announced."""
        self.check(size)
        if self.announced is not None and size != self.announced:
            raise self._other(str(size))

    def _other(self, size: str) -> Corrupt:
        return Corrupt(
            f"GitLab announced {self.announced} bytes, the answer has {size}",
            hint="The next attempt asks again; if it stays so, the server's file is not the one that GitLab recorded.",
        )

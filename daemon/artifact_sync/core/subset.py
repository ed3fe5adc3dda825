"""A part of all publications that is the same each time: after t parts of t each was there once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from artifact_sync.core.model import Transfer

__all__ = ["Subset"]

_WRITTEN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Subset:
    """The n-th of t parts, n from 1."""

    number: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> Subset:
        """From ``n/t``. Raises ValueError."""
        found = _WRITTEN.fullmatch(text)
        subset = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= subset.number <= subset.parts:
            raise ValueError(f"{text} is no part of a whole; write n/t, such as 3/30: the third of thirty parts")
        return subset

    def has(self, transfer: Transfer) -> bool:
        """Whether the transfer's publication is in this part: by what it is, whatever else there is."""
        identity = f"{transfer.project_id}/{transfer.job.id}/{transfer.dest}"
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.parts == self.number - 1

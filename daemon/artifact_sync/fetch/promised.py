"""The checksum that a server gives for an archive."""

from __future__ import annotations

import re

from artifact_sync.errors import Corrupt

__all__ = ["require_promised"]

#: Newer servers send the archive's own sha256 as its ETag; an object store's ETag is shorter or has a part count.
_SHA256_ETAG = re.compile(r'"([0-9a-f]{64})"')


def require_promised(etag: str | None, sha256: str) -> None:
    """Raise Corrupt where the archive's ETag is a sha256, and another one than that of what came."""
    promised = _SHA256_ETAG.fullmatch(etag or "")
    if promised and promised[1] != sha256:
        raise Corrupt(
            f"the archive's sha256 is {sha256}, its ETag says {promised[1]}",
            hint="The bytes were changed on the way or in the server's storage; the next attempt downloads them again.",
        )

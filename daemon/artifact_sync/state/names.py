"""Destinations that some filesystem takes for the same."""

from __future__ import annotations

import unicodedata

__all__ = ["folded"]


def folded(dest: str) -> str:
    """Equal for names that a filesystem without case, or one that normalises, takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", dest).casefold())

"""What those who may read what is published may do with it besides."""

from __future__ import annotations

__all__ = ["mode_of"]

_READ = 0o444


def mode_of(mode: int, *, executable: bool) -> int:
    """The mode of a file where others have ``mode``: who may read an executable one may execute it."""
    return mode | (mode & _READ) >> 2 if executable else mode

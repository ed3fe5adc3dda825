"""Hashing what lies on the disk leaves the machine's memory as it was."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from artifact_sync.store.digests import Digests

CONTENT = bytes(range(256)) * 4096


def in_memory(path: Path) -> bool:
    """Whether its first page can be read without waiting for the disk (preadv2(2), RWF_NOWAIT)."""
    with path.open("rb", buffering=0) as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False
        except OSError:
            pytest.skip("this filesystem cannot tell what is in memory")


def hashed(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return Digests().of(file.fileno(), os.fstat(file.fileno()))[0]


@pytest.fixture
def file(tmp_path) -> Path:
    """On the disk, and not in memory."""
    path: Path = tmp_path / "file"
    path.write_bytes(CONTENT)
    for _ in range(100):
        with path.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not in_memory(path):
            return path
    pytest.skip("this filesystem keeps everything in memory")


def test_what_came_from_the_disk_does_not_stay_in_memory(file):
    """A whole store that is read once would push out what others use."""
    assert hashed(file) == hashlib.sha256(CONTENT).hexdigest()
    assert not in_memory(file)


def test_what_was_in_memory_stays_there(file):
    """It is somebody else's, say a mirror's who serves it all the time."""
    assert file.read_bytes() == CONTENT
    assert hashed(file) == hashlib.sha256(CONTENT).hexdigest()
    assert in_memory(file)

"""A store on a folder of the test's own."""

from pathlib import Path

import pytest

from artifact_sync.store import LocalStore


@pytest.fixture
async def store(tmp_path):
    """A store at ``tmp_path``."""
    async with LocalStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """Where its parts lie."""
    return tmp_path / ".staging"

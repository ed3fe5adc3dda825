"""Settings out of a store's own state."""

from pathlib import Path

import anyio
import pytest

from artifact_sync.cli.stored import reading_settings
from artifact_sync.errors import UsageError
from artifact_sync.state import SqliteState


def owned(path: Path, **owners: str) -> None:
    """A state that belongs to these."""

    async def make() -> None:
        async with SqliteState.open(path) as state:
            await state.belong_to(owners)

    anyio.run(make)


def test_no_token_is_asked_for(tmp_path):
    """A public instance over http: a configuration with a token for it would be refused, and none is needed to look."""
    owned(tmp_path / "releases.db", gitlab="http://gitlab.example.com", store="s")
    settings = reading_settings(tmp_path / "releases", None)
    assert settings.gitlab.url == "http://gitlab.example.com"
    assert settings.gitlab.token.kind == "none"
    assert (settings.store_path, settings.state_path) == (tmp_path / "releases", tmp_path / "releases.db")


def test_a_state_of_nobody(tmp_path):
    """Nothing can be said of it."""
    owned(tmp_path / "releases.db", store="s")
    with pytest.raises(UsageError, match="is of no GitLab yet"):
        reading_settings(tmp_path / "releases", None)

"""A served world with one project, and a mirror of it that is still empty."""

import pytest

from artifact_sync.simulator import World, serve
from tests.integration.configured.configured import Mirror


@pytest.fixture
async def world():
    """Served, on the real clock."""
    made = World()
    async with serve(made):
        yield made


@pytest.fixture
def app(world):
    """The project acme/app."""
    return world.add_project("acme/app")


@pytest.fixture
def mirror(world, tmp_path):
    """Nothing is in it yet."""
    return Mirror(world, tmp_path)

"""A served world with one project."""

import pytest

from artifact_sync.simulator import World, serve


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

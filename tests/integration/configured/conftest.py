"""A mirror of the served world that is still empty."""

import pytest

from tests.integration.configured.configured import Mirror


@pytest.fixture
def mirror(world, tmp_path):
    """Nothing is in it yet."""
    return Mirror(world, tmp_path)

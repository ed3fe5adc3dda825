"""The served world with one project, mirrored and served again."""

import aiohttp
import pytest

from artifact_sync.core.rules import Fetch
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import ended, served


@pytest.fixture
def world(world):
    """Its reports can be had."""
    world.report_downloads = True
    return world


@pytest.fixture
def job(world, app):
    """A job of it that has ended."""
    return ended(world, app, "build")[0]


@pytest.fixture
async def mirror(world, app, job, tmp_path):
    """The job mirrored: archive, a report and the log."""
    async with rig(world, tmp_path, rule(fetch=Fetch(reports=("junit",), trace=True))) as daemon:
        report = await daemon.sync()
        assert report.complete
        yield daemon


@pytest.fixture
async def replica(mirror):
    """It, served without tokens."""
    async with served(mirror) as answering:
        yield answering


@pytest.fixture
async def http():
    """An HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session

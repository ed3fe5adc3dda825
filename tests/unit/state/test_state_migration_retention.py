"""The table of transfers is made anew without losing anything of it, or of what refers to it."""

import sqlite3
from contextlib import closing

import pytest

from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.state.queries import migrations
from artifact_sync.state.schema import connect
from tests.storage import HOUR, NOW

BEFORE = tuple(step for step in migrations() if step.version < 5)

FILLED = """
INSERT INTO transfer (id, project_id, job_id, dest, dest_folded, transfer, priority, backfill, state, due, attempts)
VALUES (3, 1, 7, 'd/7', 'd/7',
    '{"project_id":1,"project_path":"g/a","job":{"id":7,"name":"b","status":"success"},"rules":["r"],"items":[],"dest":"d/7"}',
    5, 0, 'wanted', 42, 2);
INSERT INTO part (transfer_id, item, size, etag, total) VALUES (3, 'artifacts.zip', 10, '"e"', 20);
"""


@pytest.fixture
def older(tmp_path):
    """A state as the version before wrote it."""
    path = tmp_path / "state.db"
    with closing(connect(path, BEFORE)) as database:
        database.executescript(FILLED)
    return path


async def test_nothing_is_lost(older):
    """Transfers with every column, and the parts of downloads under way."""
    async with SqliteState.open(older) as state:
        (known,) = await state.find(1, 7)
        assert (known.id, known.attempts, known.transfer.dest, known.pruned) == (3, 2, "d/7", None)
        part = await state.part_record(3, "artifacts.zip")
        assert part is not None
        assert (part.size, part.total) == (10, 20)
        claimed = await EmbeddedQueue(state).claim(NOW + HOUR)
        assert claimed is not None


async def test_a_part_still_goes_with_its_transfer(older):
    """The reference leads to the new table."""
    async with SqliteState.open(older):
        pass
    with closing(sqlite3.connect(older)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.execute("DELETE FROM transfer")
        assert database.execute("SELECT count(*) FROM part").fetchone() == (0,)
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert not {"transfer_old", "part_kept"} & tables

"""What a migration makes of publications that are there, and a known job that an index hides."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from artifact_sync.errors import StateError
from artifact_sync.ports import Progress
from artifact_sync.state import SqliteState, rows, schema
from artifact_sync.state.queries import migrations
from tests.storage import HOUR, NOW, transfer


async def test_the_end_of_jobs_is_known_after_the_migration(tmp_path):
    """To the millisecond, in whatever offset GitLab said it; what cannot be read is left as it is."""
    path = tmp_path / "state.db"
    with closing(schema.connect(path, [step for step in migrations() if step.version <= 5])) as database:
        texts = [rows.transfer_json(transfer(7)), "{", rows.transfer_json(transfer(9))]
        texts[2] = rows.transfer_json(transfer(9)).rstrip().replace('11:00:00.123456Z"', '13:00:00.123456+02:00"')
        for number, text in enumerate(texts):
            database.execute(
                "INSERT INTO transfer (project_id, job_id, dest, dest_folded, transfer, priority, backfill, state)"
                " VALUES (1, ?, ?, ?, ?, 0, 0, 'published')",
                (number, f"d{number}", f"d{number}", text),
            )
    with closing(schema.connect(path)) as database:
        found = [row[0] for row in database.execute("SELECT ended_at FROM transfer ORDER BY id")]
    ended = rows.micros(NOW - HOUR)
    assert found[1] == 0
    assert abs(found[0] - ended) < timedelta(milliseconds=2) / timedelta(microseconds=1)
    assert found[2] == found[0]


async def test_a_known_job_that_cannot_be_found_is_a_damaged_state(tmp_path):
    """Its place is taken by itself: an index is not its table's, and nothing is published twice."""
    path = tmp_path / "state.db"
    async with SqliteState.open(path) as state:
        await state.save_progress(Progress(project_id=1, path="group/app"), found=[transfer()], now=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("UPDATE transfer SET job_id = 8").rowcount == 1
    async with SqliteState.open(path) as state:
        with pytest.raises(StateError, match="contradicts itself") as caught:
            await state.want([transfer()], now=NOW)
    assert "rebuild-state" in caught.value.hint

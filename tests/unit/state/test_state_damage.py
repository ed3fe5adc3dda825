"""A value that this program never wrote is told as a damaged database, whatever it is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from artifact_sync.errors import StateError
from artifact_sync.ports import Progress
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from tests.storage import NOW, transfer


async def filled(path: Path) -> None:
    """A state with one transfer and a project."""
    async with SqliteState.open(path) as state:
        await state.save_progress(Progress(project_id=1, path="group/app"), found=[transfer()], now=NOW)


def damage(path: Path, statement: str) -> None:
    """Change a value past every check, as a flipped bit does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        assert database.execute(statement).rowcount == 1


@pytest.mark.parametrize(
    "change",
    [
        "state = 'wantfd'",
        "dest = 'somewhere/else'",
        "outcome = 'never heard of'",
        "transfer = '{'",
        "transfer = '{}'",
        "transfer = CAST(x'7bff7d' AS TEXT)",
        "published_files = '[[[[[[[['",
        "error = CAST(x'fffe' AS TEXT)",
        "published_at = 9223372036854775807",
        "next_attempt_at = -9223372036854775807",
    ],
)
async def test_a_value_that_cannot_be_is_a_damaged_state(tmp_path, change):
    """With what to do about it, in every way of reading it; the next call is answered too."""
    path = tmp_path / "state.db"
    await filled(path)
    async with SqliteState.open(path) as state:
        damage(path, f"UPDATE transfer SET {change}")
        with pytest.raises(StateError) as caught:
            await state.find(1, 7)
        assert "artifact-sync rebuild-state" in caught.value.hint
        assert (await state.progress(1)) is not None


async def test_a_time_that_cannot_be_is_a_damaged_state(tmp_path):
    """Also of a project."""
    path = tmp_path / "state.db"
    await filled(path)
    damage(path, "UPDATE project SET polled_at = 9223372036854775807")
    async with SqliteState.open(path) as state:
        with pytest.raises(StateError, match="microseconds since 1970"):
            await state.progress(1)


async def test_a_step_from_a_state_that_cannot_be_is_refused(tmp_path):
    """Writers read what stands there first."""
    path = tmp_path / "state.db"
    await filled(path)
    async with SqliteState.open(path) as state:
        damage(path, "UPDATE transfer SET state = 'wantfd'")
        with pytest.raises(StateError, match="wantfd"):
            await EmbeddedQueue(state).release(1)


async def test_a_schema_that_is_no_text_is_a_damaged_state(tmp_path):
    """SQLite quotes it in its error, which Python then cannot read either."""
    path = tmp_path / "state.db"
    await filled(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    named, made = b"tabletransfertransfer", b"CREATE TABLE transfer"
    assert (content.count(named), content.count(made)) == (1, 1)
    path.write_bytes(content.replace(named, b"table\xff\xfe\xfdnsfertransfer").replace(made, b"CREATE TABLX transfer"))
    with pytest.raises(StateError) as caught:
        async with SqliteState.open(path):
            pass
    assert caught.value.hint

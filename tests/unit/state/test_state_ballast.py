"""Space that is held beside the database, and what it is given up for."""

import sqlite3
from pathlib import Path

import pytest

from artifact_sync.errors import NoSpace
from artifact_sync.ports import Trouble
from artifact_sync.state import SqliteState
from artifact_sync.state.ballast import Ballast
from artifact_sync.state.thread import DatabaseThread
from tests.storage import NOW


def held(database: Path) -> int:
    """Bytes that the ballast really takes on the disk."""
    return database.with_name(f"{database.name}.ballast").stat().st_blocks * 512


async def test_only_the_process_that_works_on_the_store_holds_it(tmp_path):
    """A look at the state holds nothing; with it the blocks are taken, not only the size, and nobody else can read it."""
    path = tmp_path / "state.db"
    async with SqliteState.open(path):
        assert not path.with_name("state.db.ballast").exists()
    async with SqliteState.open(path, ballast=True):
        assert held(path) >= 1 << 20
    assert path.with_name("state.db.ballast").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("again", [0.0, 3600.0])
def test_it_is_given_up_in_parts_and_taken_again(tmp_path, again):
    """Each part makes room; after the last there is nothing to give; later, not at once, all of it is taken again."""
    path = tmp_path / "state.db"
    ballast = Ballast(path, again=again)
    ballast.hold()
    sizes = [held(path)]
    while ballast.give():
        sizes.append(held(path))
    assert len(sizes) >= 8
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0
    ballast.hold()
    assert held(path) == (0 if again else sizes[0])


def test_without_a_file_there_is_nothing_to_give(tmp_path):
    """A state whose directory cannot hold a ballast works without one."""
    ballast = Ballast(tmp_path / "no folder" / "state.db")
    ballast.hold()
    assert not ballast.give()


class Room(Ballast):
    """Parts of which each lets a database of limited size grow by some pages."""

    def __init__(self, parts: int) -> None:
        super().__init__(Path("nowhere"))
        self.parts = parts
        self.given = 0
        self.pages = 0
        self.database: sqlite3.Connection

    def hold(self) -> None:
        """Not here."""

    def give(self) -> bool:
        """Two pages."""
        if self.given == self.parts:
            return False
        self.given += 1
        self.limit(self.pages + 2)
        return True

    def limit(self, pages: int) -> None:
        """A larger database is SQLITE_FULL, as on a full disk (https://www.sqlite.org/pragma.html#pragma_max_page_count)."""
        (self.pages,) = self.database.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def connect(self) -> sqlite3.Connection:
        """A database in memory with room for one table."""
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.execute("CREATE TABLE t (x BLOB)")
        self.limit(2)
        return self.database


def insert(database: sqlite3.Connection) -> int:
    """More than is free in any page that is there."""
    return database.execute("INSERT INTO t VALUES (zeroblob(3000))").rowcount


@pytest.mark.parametrize("parts", [0, 1, 5])
async def test_a_write_that_finds_no_room_is_done_again_with_a_part(parts):
    """Nobody learns of a full disk as long as there is a part to give; then NoSpace."""
    room = Room(parts)
    thread = DatabaseThread(room.connect, ballast=room)
    await thread.start()
    done, full = 0, False
    while not full:
        try:
            done += await thread.call(insert, writes=True)
        except NoSpace:
            full = True
    assert room.given == parts
    rows = await thread.call(lambda database: database.execute("SELECT count(*) FROM t").fetchone()[0], writes=False)
    assert rows == done == max(1, 2 * parts)
    await thread.close()


async def test_the_troubles_of_a_state_on_a_held_disk_are_written(tmp_path):
    """With a ballast held, writing is what it was."""
    async with SqliteState.open(tmp_path / "state.db", ballast=True) as state:
        await state.note_trouble(Trouble(subject="acme/app", error="error", hint="hint", since=NOW))
        assert [trouble.subject for trouble in (await state.summary()).troubles] == ["acme/app"]

"""Which webhooks are known to have come, in memory and in the state."""

from contextlib import closing
from datetime import timedelta

import pytest

from artifact_sync.errors import StateError
from artifact_sync.state import SqliteState, schema
from artifact_sync.state.deliveries import SqliteDeliveries
from artifact_sync.state.queries import migrations
from artifact_sync.web.remembered import Remembered
from tests.unit.gitlab.gitlab_clocks import START, StandingClock

DAY = timedelta(days=1)


@pytest.fixture
async def deliveries(tmp_path):
    """In a new database."""
    async with SqliteState.open(tmp_path / "state.db") as state:
        yield SqliteDeliveries(state)


def key(number: int) -> bytes:
    """Sixteen bytes."""
    return number.to_bytes(16, "big")


async def test_what_was_written_is_known_after_a_start(deliveries):
    """What came after the last write is not, and does no harm when it comes again."""
    clock = StandingClock()
    before = Remembered(deliveries, clock)
    before.add(key(1))
    await before.write()
    before.add(key(2))
    after = Remembered(deliveries, clock)
    await after.load()
    assert key(1) in after
    assert key(2) not in after


async def test_a_delivery_is_known_for_a_day(deliveries):
    """In memory and in the database; the next write forgets older ones."""
    clock = StandingClock()
    known = Remembered(deliveries, clock)
    known.add(key(1))
    await known.write()
    clock.jump(86_399)
    assert key(1) in known
    clock.jump(2)
    assert key(1) not in known
    known.add(key(2))
    await known.write()
    assert list(await deliveries.seen(since=START, most=10)) == [key(2)]


async def test_no_more_are_known_than_may_be(deliveries):
    """The oldest go, in memory and in the database."""
    clock = StandingClock()
    known = Remembered(deliveries, clock, most=10)
    for number in range(25):
        clock.jump(1)
        known.add(key(number))
        if number % 4 == 0:
            await known.write()
    await known.write()
    assert len(known) == 10
    assert key(14) not in known
    assert key(15) in known
    kept = await deliveries.seen(since=START, most=100)
    assert list(kept) == [key(number) for number in range(15, 25)]
    again = Remembered(deliveries, clock, most=3)
    await again.load()
    assert len(again) == 3
    assert key(24) in again


class Failing:
    """A state that cannot be written for a while."""

    def __init__(self) -> None:
        self.fails = True
        self.written: dict[bytes, object] = {}

    async def seen(self, **_):
        return {}

    async def remember(self, seen, **_):
        if self.fails:
            raise StateError("the state is locked", hint="Wait.")
        self.written |= seen


async def test_what_cannot_be_written_is_written_later():
    """Nobody who delivers hears of it."""
    failing = Failing()
    known = Remembered(failing, StandingClock())
    known.add(key(1))
    await known.write()
    assert key(1) in known
    failing.fails = False
    known.add(key(2))
    await known.write()
    assert set(failing.written) == {key(1), key(2)}


async def test_an_old_database_gets_the_table(tmp_path):
    """By a migration, from the schema before."""
    path = tmp_path / "state.db"
    schema.connect(path, [step for step in migrations() if step.version <= 8]).close()
    async with SqliteState.open(path) as state:
        await SqliteDeliveries(state).remember({key(1): START}, forget=START - DAY, most=5)
        assert await SqliteDeliveries(state).seen(since=START, most=5) == {key(1): START}
    with closing(schema.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] >= 9

"""Figures over everything are taken seldom, however many look."""

from datetime import UTC, datetime, timedelta

from artifact_sync.ports import TransferState
from artifact_sync.ports.overview import Backlog, Standing
from artifact_sync.web.dashboard import Gauge, Live

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counted:
    """An overview that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.looks = 0
        self.at = 0.0
        self._seconds = seconds

    async def lags(self):
        """None."""
        self.looks += 1
        self.at += self._seconds
        return ()

    async def at_risk(self, now: datetime, within):
        """As many as there are spans."""
        return [1] * len(within)

    async def backlog(self):
        """Some of each kind."""
        counts = {TransferState.WANTED: 3, TransferState.STAGED: 1, TransferState.PUBLISHED: 9, TransferState.LOST: 2}
        return {state: Backlog(count=count, bytes=10 * count) for state, count in counts.items()}

    async def standing(self) -> Standing:
        """Not asked."""
        raise NotImplementedError


class Still:
    """A clock."""

    def now(self) -> datetime:
        """Always the same."""
        return NOW

    def monotonic(self) -> float:
        """Not asked."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Not asked."""


async def test_figures_are_good_for_some_seconds():
    """And then taken anew."""
    overview = Counted(0.0)
    gauge = Gauge(overview, Live(), Still(), monotonic=lambda: overview.at)
    found = [await gauge.figures() for _ in range(5)]
    assert overview.looks == 1
    assert (found[0].waiting.count, found[0].waiting.bytes) == (6, 60)
    overview.at += 2.0
    assert (await gauge.figures()).at == NOW
    assert overview.looks == 2


async def test_figures_that_take_long_are_taken_the_less():
    """At most a twentieth of the time."""
    overview = Counted(3.0)
    gauge = Gauge(overview, Live(), Still(), monotonic=lambda: overview.at)
    for _ in range(100):
        await gauge.figures()
        overview.at += timedelta(seconds=2).total_seconds()
    assert overview.looks <= 4

"""From where on a listing of what moved is to be asked the next time."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast

from artifact_sync.core.model import Pipeline
from artifact_sync.engine.movement import Movement
from artifact_sync.ports import Page, Remote
from tests.unit.engine.engine_doubles import START, DrivenClock

MINUTE = timedelta(minutes=1)


def pipeline(number: int, updated_at: datetime) -> Pipeline:
    """One that moved then."""
    return Pipeline(id=number, status="success", updated_at=updated_at)


class Pages:
    """Lists these pages of pipelines, each so many seconds after the one before."""

    def __init__(self, *pages: list[Pipeline], clock: DrivenClock, pause: float = 0) -> None:
        self._pages = pages
        self._clock = clock
        self._pause = pause
        self.asked: list[datetime | None] = []

    async def pipelines(self, _: int, *, updated_after: datetime | None, **__: Any) -> AsyncIterator[Page[Pipeline]]:
        """GET /projects/:id/pipelines."""
        self.asked.append(updated_after)
        for page in self._pages:
            yield Page(items=tuple(page), next=None)
            self._clock.seconds += self._pause


def movement(remote: Pages, clock: DrivenClock, **parts: Any) -> Movement:
    """Over project 1."""
    return Movement(cast(Remote, remote), clock, 1, **({"after": START} | parts))


async def listed(movement: Movement) -> list[int]:
    """Ids of what moved."""
    return [pipeline.id async for page in movement.pages() for pipeline in page]


async def test_what_is_made_while_pages_are_read_is_asked_for_again():
    """It is on none of the pages, though later ones have what moved after it."""
    clock = DrivenClock()
    clock.seconds = 3600
    began = clock.now()
    remote = Pages([pipeline(9, began - MINUTE)], [pipeline(1, began + 30 * MINUTE)], clock=clock, pause=2400)
    moved = movement(remote, clock)
    assert await listed(moved) == [9, 1]
    assert moved.to == began
    assert dict(moved.looked_at) == {9: began - MINUTE, 1: began + 30 * MINUTE}


async def test_what_was_looked_at_is_left_out_until_it_moves_again():
    """The overlap brings it again; pages of nothing else are not given at all."""
    clock = DrivenClock()
    clock.seconds = 60
    looked_at = ((1, START), (2, START))
    remote = Pages([pipeline(1, START)], [pipeline(2, START + MINUTE)], clock=clock)
    moved = movement(remote, clock, looked_at=looked_at)
    assert [[one.id for one in page] async for page in moved.pages()] == [[2]]
    assert remote.asked == [START - 10 * MINUTE]


async def test_only_the_overlap_is_remembered():
    """However much has moved."""
    clock = DrivenClock()
    clock.seconds = 7200
    pages = [[pipeline(n * 100 + m, START + n * MINUTE) for m in range(100)] for n in range(120, 0, -1)]
    moved = movement(Pages(*pages, clock=clock), clock)
    assert len(await listed(moved)) == 12_000
    assert moved.to == START + 120 * MINUTE
    assert len(moved.looked_at) == 11 * 100


async def test_where_nothing_is_nothing_is_known():
    """Neither was there before."""
    clock = DrivenClock()
    moved = movement(Pages(clock=clock), clock, after=None)
    assert (await listed(moved), moved.to, moved.looked_at) == ([], None, ())

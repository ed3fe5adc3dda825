"""The limit of all downloads, on a clock that moves by sleeping alone: exact, shared evenly, and gone when it is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest

from artifact_sync.core.timetable import Entry, Timetable
from artifact_sync.fetch.bandwidth import Bandwidth, Share
from artifact_sync.fetch.line import Line
from tests.unit.fetch.fetch_doubles import Answer
from tests.unit.gitlab.gitlab_clocks import START, HastyClock, StandingClock, settled

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CHUNK = 256 * KIB
NOON = time(12)


class LateClock(HastyClock):
    """Wakes everybody up a hundredth of a second too late, as a busy loop does."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + 0.01)


def one_rate(rate: int, clock: HastyClock | StandingClock) -> Bandwidth:
    return Bandwidth(Timetable(otherwise=rate), clock=clock, zone=UTC)


@pytest.mark.parametrize("kind", [HastyClock, LateClock])
@pytest.mark.parametrize("connections", [1, 7])
@pytest.mark.parametrize("rate", [KIB, 100 * KIB, 3 * MIB, GIB])
async def test_the_average_keeps_to_the_limit(rate, connections, kind):
    """Over any five seconds and one chunk of each connection, within 5 %; a limit far below one chunk included."""
    clock = kind()
    bandwidth = one_rate(rate, clock)
    came = [(0.0, 0)]
    chunks = max(3 * connections, min(4000, 30 * rate // CHUNK))

    async def connection() -> None:
        share = Share()
        while len(came) < chunks:
            await bandwidth.admit(share, CHUNK)
            came.append((clock.monotonic(), came[-1][1] + CHUNK))

    async with anyio.create_task_group() as group:
        for _ in range(connections):
            group.start_soon(connection)

    slack = CHUNK * connections
    for begin in range(0, len(came), 1 + len(came) // 50):
        for moment, bytes_by_then in came[begin:]:
            elapsed, size = moment - came[begin][0], bytes_by_then - came[begin][1]
            if elapsed >= 5:
                assert abs(size - rate * elapsed) <= 0.05 * rate * elapsed + slack
    # What is still in the turns of others was paid for, too, at most a chunk each.
    assert came[-1][0] >= 0.95 * came[-1][1] / rate
    assert came[-1][0] <= 1.05 * (came[-1][1] + slack) / rate


async def test_transfers_have_equal_parts_whatever_their_connections_and_chunks():
    """One with five connections, one with small chunks and two plain ones; each has a quarter."""
    clock = HastyClock()
    bandwidth = one_rate(MIB, clock)
    brought = [0.0] * 4

    async def connection(number: int, line: Line, size: int) -> None:
        async for chunk in line.limited(Answer(bytes(size) for _ in range(100 * MIB // size))).chunks():
            brought[number] += len(chunk)
            if clock.monotonic() >= 60:
                break

    async with anyio.create_task_group() as group:
        for number, (connections, size) in enumerate([(5, CHUNK), (1, 16 * KIB), (1, CHUNK), (1, CHUNK)]):
            first = Line(bandwidth, clock)
            for line in (first, *(first.beside() for _ in range(connections - 1))):
                group.start_soon(connection, number, line, size)

    # The last chunk of each connection was begun before the minute was over.
    assert all(abs(each - 15 * MIB) <= 6 * CHUNK for each in brought), brought
    assert sum(brought) >= 60 * MIB - CHUNK


async def test_something_small_does_not_wait_for_what_is_large():
    """A log of two KiB beside eight archives at 100 KiB/s: their chunks alone would take twenty seconds."""
    clock = HastyClock()
    bandwidth = one_rate(100 * KIB, clock)
    due = anyio.Event()
    passed: list[float] = []

    async def archive() -> None:
        share = Share()
        while clock.monotonic() < 120:
            await bandwidth.admit(share, CHUNK)
            if clock.monotonic() > 60:
                due.set()

    async def small_log() -> None:
        await due.wait()
        began = clock.monotonic()
        await bandwidth.admit(Share(), 2 * KIB)
        passed.append(clock.monotonic() - began)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(archive)
        group.start_soon(small_log)

    assert len(passed) == 1
    assert passed[0] <= 0.5


async def test_who_had_nothing_to_bring_saves_nothing_up():
    """A transfer that comes late is not owed what it did not ask for, and the others are not held up for it."""
    clock = HastyClock()
    bandwidth = one_rate(MIB, clock)
    first, second = Share(), Share()
    for _ in range(40):
        await bandwidth.admit(first, CHUNK)
    turns: list[str] = []

    async def connection(name: str, share: Share) -> None:
        for _ in range(8):
            await bandwidth.admit(share, CHUNK)
            turns.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(connection, "first", first)
        group.start_soon(connection, "second", second)

    assert abs(turns[:8].count("first") - 4) <= 1


async def test_an_idle_hour_leaves_no_more_than_a_moment():
    """What was not used is not brought later in one burst."""
    clock = HastyClock()
    bandwidth = one_rate(MIB, clock)
    await bandwidth.admit(Share(), CHUNK)
    clock.jump(3600)
    began = clock.monotonic()

    await bandwidth.admit(Share(), 10 * MIB)

    assert clock.monotonic() - began >= 9.7


async def test_a_change_of_the_limit_is_noticed_while_waiting():
    """A byte a second until a minute past noon, and much more from then on: nobody waits three days."""
    clock = StandingClock()
    night = Entry(start=time(11), end=time(12, 1), limit=1)
    bandwidth = Bandwidth(Timetable(entries=(night,), otherwise=MIB), clock=clock, zone=UTC)
    ended: list[float] = []

    async def connection() -> None:
        await bandwidth.admit(Share(), CHUNK)
        ended.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(connection)
        await clock.advance(59)
        assert ended == []
        await clock.advance(3)

    assert len(ended) == 3
    # Three chunks of a quarter of a second each, behind the byte that was waited for.
    assert all(60 < end <= 61.76 for end in ended)


async def test_the_end_of_a_limit_frees_everybody():
    """From that second on nothing sleeps; and the next limit begins as the first one did."""
    clock = StandingClock()
    entry = Entry(start=time(11), end=time(12, 1), limit=1)
    bandwidth = Bandwidth(Timetable(entries=(entry,)), clock=clock, zone=UTC)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(bandwidth.admit, Share(), CHUNK)
        await clock.advance(61)
        assert clock.sleeping == 0
    limits = [bandwidth.limit]
    await bandwidth.admit(Share(), GIB)
    clock.jump(23 * 3600)
    limits.append(bandwidth.limit)
    assert limits == [None, 1]

    async with anyio.create_task_group() as group:
        group.start_soon(bandwidth.admit, Share(), 2)
        await settled()
        assert clock.sleeping == 1
        await clock.advance(3)
    assert clock.sleeping == 0


async def test_a_clock_that_is_put_forward_is_noticed_within_a_minute():
    """In the night to 2026-03-29 there is no 02:30 in Berlin; what begins at 03:00 begins an hour earlier."""
    zone = ZoneInfo("Europe/Berlin")
    clock = HastyClock()
    clock.jump((datetime(2026, 3, 29, 1, 59, 30, tzinfo=zone) - START).total_seconds())
    bandwidth = Bandwidth(
        Timetable(entries=(Entry(start=time(3), end=time(4), limit=7),)),
        clock=clock,
        zone=zone,
    )

    seen = []
    for _ in range(3):
        seen.append(bandwidth.limit)
        clock.jump(60)

    assert seen[0] is None
    assert 7 in seen[:2]


async def test_the_hour_that_comes_twice_has_its_limit_twice():
    """In the night to 2026-10-25 it is 02:15 twice in Berlin."""
    zone = ZoneInfo("Europe/Berlin")
    clock = HastyClock()
    clock.jump((datetime(2026, 10, 25, 0, 15, tzinfo=UTC) - START).total_seconds())
    bandwidth = Bandwidth(
        Timetable(entries=(Entry(start=time(2), end=time(2, 30), limit=7),)),
        clock=clock,
        zone=zone,
    )

    seen = []
    for _ in range(8):
        seen.append(bandwidth.limit)
        clock.jump(15 * 60)

    assert seen == [7, None, None, 7, 7, None, None, None]


@pytest.mark.parametrize("who", [0, 1, 2], ids=["who waits for the clock", "who waits for a turn", "the last one"])
async def test_a_stop_ends_a_wait_at_once_and_holds_nobody_up(who):
    """No time passes for the one that is cancelled, and the others go on as if it had not been."""
    clock = StandingClock()
    bandwidth = one_rate(1, clock)
    scopes = [anyio.CancelScope() for _ in range(3)]
    ended: list[int] = []

    async def connection(number: int) -> None:
        with scopes[number]:
            await bandwidth.admit(Share(), 10)
        ended.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(connection, number)
            await settled()
        scopes[who].cancel()
        await settled()
        assert ended == [who]
        assert clock.monotonic() == 0
        await clock.advance(22)

    assert sorted(ended) == [0, 1, 2]


async def test_the_clock_of_a_line_stands_still_while_it_is_held_back():
    """What the peer is judged by is the time that it was free to send."""
    clock = HastyClock()
    line = Line(one_rate(KIB, clock), clock)
    body = Answer([bytes(10 * KIB), lambda: clock.jump(5), bytes(20 * KIB)])

    came = [(len(chunk), clock.monotonic(), line.monotonic()) async for chunk in line.limited(body).chunks()]

    assert [size for size, _, _ in came] == [10 * KIB, 20 * KIB]
    assert [round(total, 3) for _, total, _ in came] == [10, 34.8]
    assert [round(peer, 3) for _, _, peer in came] == [0, 5]
    assert line.held == pytest.approx(29.8)


async def test_without_a_limit_nothing_stands_between_the_peer_and_the_disk():
    """The body itself is read, no time is asked for, and outside of all windows nobody sleeps."""
    clock = HastyClock()
    body = Answer([b"x"])

    assert Line(Bandwidth(Timetable(), clock=clock), clock).limited(body) is body

    entry = Entry(start=time(13), end=time(14), limit=1)
    line = Line(Bandwidth(Timetable(entries=(entry,)), clock=clock, zone=UTC), clock)
    assert [chunk async for chunk in line.limited(body).chunks()] == [b"x"]
    assert clock.sleeps == []
    assert line.limit is None


async def test_what_is_limited_says_of_itself_what_it_is():
    """Only its chunks come later."""
    clock = HastyClock()
    body = Answer([b"x"], total=9, etag='"v"', offset=8)
    limited = Line(one_rate(1, clock), clock).limited(body)

    assert limited is not body
    for name in ("total", "etag", "offset", "source", "content_type"):
        assert getattr(limited, name) == getattr(body, name)


async def test_the_timetable_is_about_the_zone_of_the_machine(monkeypatch):
    """Noon in UTC is evening in Tokyo, where TZ says that the machine stands."""
    import time as machine  # noqa: PLC0415 - the name is a type's above

    clock = HastyClock()
    assert clock.now().time() == NOON
    entry = Entry(start=time(21), end=time(22), limit=5)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    machine.tzset()
    try:
        assert Bandwidth(Timetable(entries=(entry,)), clock=clock).limit == 5
        monkeypatch.setenv("TZ", "UTC")
        machine.tzset()
        assert Bandwidth(Timetable(entries=(entry,)), clock=clock).limit is None
    finally:
        monkeypatch.undo()
        machine.tzset()


def test_no_clock_is_asked_about_more_than_a_minute_ahead():
    """One answer of the timetable holds for a minute at most, and up to an edge."""
    clock = HastyClock()
    asked: list[timedelta] = []

    class Asked(Timetable):
        def limit(self, at: time) -> int | None:
            asked.append(clock.now() - START)
            return super().limit(at)

    bandwidth = Bandwidth(Asked(entries=(Entry(start=time(12, 1, 30), end=NOON, limit=5),)), clock=clock, zone=UTC)
    for _ in range(150):
        assert bandwidth.limit == (None if clock.monotonic() < 90 else 5)
        clock.jump(1)

    moments = sorted({moment.total_seconds() for moment in asked})
    assert moments == [0, 60, 90]

"""One limit of all downloads, over real HTTP, files and SQLite. Waits for the limit take no real time, and are counted."""

from __future__ import annotations

import asyncio
import random
import time as machine
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import anyio
import pytest
from anyio import lowlevel
from structlog.testing import capture_logs

from artifact_sync.core.model import Item
from artifact_sync.core.timetable import Entry, Timetable
from artifact_sync.errors import Transient
from artifact_sync.simulator import World
from artifact_sync.simulator.world import Delivery
from tests.integration.fetch.fetch_harness import harness
from tests.integration.fetch.files_harness import ARCHIVE as UNSIZED
from tests.integration.fetch.files_harness import scene_of, written
from tests.integration.fetch.raw_server import Step, head, raw_server, script, whole
from tests.integration.fetch.test_segments import ARCHIVE, POLICY, SIZE, ZIP, Wrong, slow_server
from tests.unit.gitlab.gitlab_clocks import HastyClock, StandingClock
from tests.zips import real_zip

KIB, MIB = 1 << 10, 1 << 20
NOISE = random.Random(4).randbytes(8 * MIB)
SMALL = real_zip({"noise.bin": NOISE[: 3 * MIB]}, compression=0)
SMALL_ARCHIVE = Item(kind="archive", name="artifacts.zip", size=len(SMALL))
TRACE = Item(kind="trace", name="job.log")
MORNING = datetime(2026, 3, 2, 7, 59, tzinfo=UTC)


class SkippingClock:
    """Real time, and beside it what somebody was to sleep, which is skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self._began = machine.monotonic()

    def now(self) -> datetime:
        return MORNING + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return machine.monotonic() - self._began + self.skipped

    async def sleep(self, seconds: float) -> None:
        await lowlevel.checkpoint()
        self.skipped += max(0.0, seconds)


def at_most(rate: int) -> Timetable:
    return Timetable(otherwise=rate)


@pytest.mark.parametrize("rate", [3 * KIB, 100 * KIB, 10 * MIB])
async def test_a_download_takes_the_time_that_its_limit_makes_it_take(tmp_path, rate):
    """Also far below the rate that is called a stall: its peer was waited for not at all."""
    clock = HastyClock()
    async with (
        raw_server(script([whole(SMALL)])) as server,
        harness(tmp_path, server.url, SMALL_ARCHIVE, at=clock, timetable=at_most(rate), min_rate=100 * MIB) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == SMALL
        assert clock.monotonic() == pytest.approx(len(SMALL) / rate, rel=0.001)
        assert len(server.requests) == 1


async def test_a_trickle_is_a_trickle_under_a_limit_as_well(tmp_path):
    """What is waited for the peer counts, however much the limit holds back."""
    drip: list[Step] = [0.05, b"x"]
    answer = [head("200 OK", f"Content-Length: {len(SMALL)}"), SMALL[:1000], *drip * 400]
    clock = SkippingClock()
    async with (
        raw_server(script(answer)) as server,
        harness(
            tmp_path,
            server.url,
            SMALL_ARCHIVE,
            at=clock,
            timetable=at_most(20),
            min_rate=1024,
            min_rate_window=1.0,
        ) as bench,
    ):
        with pytest.raises(Transient, match="less than 1024 bytes a second"):
            await bench.fetch()

        assert clock.skipped > 40


async def test_logs_are_limited_too(tmp_path):
    """An unlisted log comes twice, and both times count."""
    clock = HastyClock()
    log = NOISE[:MIB]
    async with (
        raw_server(script([whole(log)])) as server,
        harness(tmp_path, server.url, TRACE, at=clock, timetable=at_most(MIB)) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == log
        assert clock.monotonic() == pytest.approx(2, rel=0.001)


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_several_transfers_share_one_limit(tmp_path, delivery):
    """Four archives of a MiB at a MiB a second take four seconds together, and end together."""
    clock = HastyClock()
    archive = written({"noise.bin": NOISE[:MIB]}, stored=True)
    ends: list[float] = []
    async with scene_of(
        tmp_path, archive, world=World(delivery=delivery), clock=clock, timetable=at_most(MIB)
    ) as scene:

        async def one() -> None:
            await scene.fetch(extra=[UNSIZED])
            ends.append(clock.monotonic())

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(one)

        size = archive.content.size
        assert max(ends) == pytest.approx(4 * size / MIB, rel=0.001)
        assert min(ends) >= 2.5


@pytest.mark.parametrize(
    ("files", "way"),
    [
        (["data/1.bin", "data/2.bin"], "single files"),
        (["data/[12].bin"], "ranges of the archive"),
    ],
)
async def test_files_are_limited_whatever_way_they_come(tmp_path, files, way):
    """Each of them by a request of its own, or by ranges, whose bytes are not taken for a trickle's either."""
    clock = HastyClock()
    archive = written({f"data/{n}.bin": NOISE[n * MIB : (n + 1) * MIB] for n in range(8)}, stored=True)
    async with scene_of(tmp_path, archive, tree=False, clock=clock, timetable=at_most(10 * KIB), min_rate=MIB) as scene:
        found = await scene.fetch(*files)

        assert found == {f"files/data/{n}.bin": NOISE[n * MIB : (n + 1) * MIB] for n in (1, 2)}
        assert scene.ways == [way]
        assert 2 * MIB <= clock.monotonic() * 10 * KIB <= 1.01 * scene.wire.received


async def test_where_the_limit_is_the_bottleneck_no_connection_is_added(tmp_path):
    """The peer could send more than the limit, and a second connection would bring nothing."""
    clock = SkippingClock()
    async with (
        slow_server() as server,
        harness(tmp_path, server.url, ARCHIVE, at=clock, timetable=at_most(3 * MIB), segments=4, **POLICY) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert server.most == len(server.asked) == 1


async def test_where_the_peer_is_the_bottleneck_connections_are_added(tmp_path):
    """A limit that is far away changes nothing."""
    clock = SkippingClock()
    async with (
        slow_server() as server,
        harness(tmp_path, server.url, ARCHIVE, at=clock, timetable=at_most(400 * MIB), segments=4, **POLICY) as bench,
    ):
        staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert server.most > 2


async def test_several_connections_have_no_more_than_one(tmp_path):
    """The limit begins while five of them bring one archive: from then on they bring together what it allows."""
    clock = SkippingClock()
    begun: list[tuple[float, int]] = []
    day = Timetable(entries=(Entry(start=time(8), end=time(18), limit=MIB // 16),))

    def morning(number: int, start: int, stop: int) -> Wrong | None:
        if number == 4:
            clock.skipped += 60
            begun.append((clock.monotonic(), server.sent))
        return None

    async with (
        slow_server(morning) as server,
        harness(
            tmp_path, server.url, ARCHIVE, at=clock, timetable=day, segments=4, silence=30.0, min_rate=MIB, **POLICY
        ) as bench,
    ):
        with capture_logs() as logs:
            staged = await bench.fetch()

        assert bench.bytes_of(staged) == ZIP
        assert server.most > 2
        # None of them was called a trickle.
        assert not {"segments.given_up", "segments.lost", "download.resumed"} & {entry["event"] for entry in logs}
        ((moment, sent),) = begun
        # What the sockets held then was sent already, and is counted when it is read.
        assert clock.monotonic() - moment >= 0.9 * (SIZE - sent) / (MIB // 16)


async def settled(value: Callable[[], int]) -> int:
    """What it is once it has begun, and stopped, to change."""
    last = 0
    while (now := value()) == 0 or now != last:
        last = now
        await asyncio.sleep(0.2)
    return last


async def test_what_is_held_back_stays_at_the_peer(tmp_path):
    """Nothing is read ahead of the limit: of a large archive no more is under way than sockets hold."""
    data = real_zip({"zeros": bytes(96 * MIB)}, compression=0)
    clock = StandingClock()
    item = Item(kind="archive", name="artifacts.zip", size=len(data))
    async with (
        slow_server(data=data, rate=1e12) as server,
        harness(tmp_path, server.url, item, silence=30.0, at=clock, timetable=at_most(MIB)) as bench,
    ):
        task = asyncio.ensure_future(bench.fetch())
        sent = await settled(lambda: server.sent)
        assert sent < 32 * MIB
        assert sum(bench.parts.values()) <= MIB

        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert clock.monotonic() == 0
        assert clock.sleeping == 0

"""How bytes flow: overlapped, watched for slowness and for free space, reported a few times a second."""

from __future__ import annotations

import anyio
import pytest

from artifact_sync.core.events import Received
from artifact_sync.core.model import Item
from artifact_sync.errors import NoSpace, Transient
from artifact_sync.fetch.rate import RateFloor
from tests.unit.fetch.fetch_doubles import KIB, Answer, Bench, archive, entity, queued
from tests.zips import real_zip

ZIP = real_zip({"zeros": bytes(1_000_000)}, compression=0)
SIZE = len(ZIP)
BATCH = 64 * KIB
FILE = Item(kind="file", name="files/a", path="a")


async def test_writing_and_receiving_overlap(tmp_path):
    """The next batch arrives while the one before is being written, and only that one."""
    arrived: list[int] = []
    seen_while_writing: list[int] = []

    def note(n: int):
        return lambda: arrived.append(n)

    async def slow(_part) -> None:
        await anyio.wait_all_tasks_blocked()
        seen_while_writing.append(len(arrived))

    script = [step for n in range(5) for step in (bytes(BATCH), note(n))]
    bench = Bench(tmp_path, Answer(script))
    bench.store.before_append = slow

    await bench.fetcher.fetch(queued(FILE))

    assert bench.store.appended == [BATCH] * 5
    assert seen_while_writing == [1, 2, 3, 4, 5]


async def test_small_chunks_are_written_in_batches(tmp_path):
    """A write for each batch, not for each chunk; the last one has the rest."""
    bench = Bench(tmp_path, Answer([bytes(1000)] * 150))

    await bench.fetcher.fetch(queued(FILE))

    assert bench.store.appended == [66_000, 66_000, 18_000]


def trickle(bench: Bench, *, seconds: float, size: int, times: int) -> Answer:
    """An answer that lets wait ``seconds`` for each ``size`` bytes."""

    def wait() -> None:
        bench.clock.seconds += seconds

    return Answer([step for _ in range(times) for step in (wait, bytes(size))])


async def test_a_trickle_is_given_up_within_the_window(tmp_path):
    """One byte each third of a second resets every read timeout; the rate ends it after a minute."""
    bench = Bench(tmp_path)
    bench.remote.answers = [trickle(bench, seconds=0.3, size=1, times=10_000)]

    with pytest.raises(Transient, match="less than 1024 bytes a second for 60 s"):
        await bench.fetcher.fetch(queued(FILE))

    assert 60 <= bench.clock.seconds < 70


async def test_a_burst_does_not_hide_the_trickle_after_it(tmp_path):
    """Only the last minute counts."""
    bench = Bench(tmp_path)
    slow = trickle(bench, seconds=0.3, size=1, times=10_000)
    slow.script = [bytes(BATCH)] * 100 + list(slow.script)
    bench.remote.answers = [slow]

    with pytest.raises(Transient, match="less than"):
        await bench.fetcher.fetch(queued(FILE))

    assert 60 <= bench.clock.seconds < 70


async def test_a_slow_but_steady_connection_is_left_alone(tmp_path):
    """Just above the floor for ten minutes is good."""
    bench = Bench(tmp_path)
    bench.remote.answers = [trickle(bench, seconds=1, size=1100, times=600)]

    (staged,) = await bench.fetcher.fetch(queued(FILE))

    assert staged.size == 660_000


async def test_a_slow_disk_is_not_the_peers_fault(tmp_path):
    """Time spent writing does not count as waiting for bytes."""
    bench = Bench(tmp_path, Answer([bytes(BATCH)] * 20))

    async def slow(_part) -> None:
        bench.clock.seconds += 100

    bench.store.before_append = slow
    (staged,) = await bench.fetcher.fetch(queued(FILE))

    assert staged.size == 20 * BATCH


def test_the_window_slides():
    """What is older than the window is forgotten slot by slot."""
    floor = RateFloor(rate=10, window=60)

    assert [floor.received(50, 5) for _ in range(24)] == [False] * 24
    slowing = [floor.received(0, 5) for _ in range(12)]
    assert slowing[-1]


async def test_no_byte_is_received_that_would_use_up_the_reserve(tmp_path):
    """Checked before the first byte against the size, and the text has the numbers."""
    bench = Bench(tmp_path, entity(ZIP))
    bench.store.free_bytes = SIZE + 999

    with pytest.raises(NoSpace, match=rf"{SIZE + 999} bytes are free .* need {SIZE} more.*min_free \(1000 bytes\)"):
        await bench.fetcher.fetch(queued(archive(SIZE)))

    assert bench.store.appended == []
    assert bench.staging == {}


async def test_space_promised_to_one_download_is_not_there_for_another(tmp_path):
    """Two archives that fit one at a time do not both start."""
    waiting, go_on = anyio.Event(), anyio.Event()

    async def hold() -> None:
        waiting.set()
        await go_on.wait()

    bench = Bench(tmp_path, Answer([ZIP[:BATCH], hold, ZIP[BATCH:]], total=SIZE), entity(ZIP), entity(ZIP))
    bench.store.free_bytes = SIZE * 3 // 2
    first = queued(archive(SIZE))
    async with anyio.create_task_group() as group:
        group.start_soon(bench.fetcher.fetch, first)
        await waiting.wait()
        with pytest.raises(NoSpace):
            await bench.fetcher.fetch(queued(archive(SIZE), number=4))
        go_on.set()

    await bench.fetcher.fetch(queued(archive(SIZE), number=5))
    assert bench.staging == {"3-0.part": SIZE, "5-0.part": SIZE}


async def test_space_that_others_use_up_meanwhile_ends_it(tmp_path):
    """Looked at again while receiving; what came stays for the next attempt."""
    bench = Bench(tmp_path, free_check=4 * BATCH)

    def fill() -> None:
        bench.store.free_bytes = 1500

    chunks = [ZIP[at : at + BATCH] for at in range(0, SIZE, BATCH)]
    bench.remote.answers = [Answer([*chunks[:2], fill, *chunks[2:]], total=SIZE, etag='"v1"')]

    with pytest.raises(NoSpace):
        await bench.fetcher.fetch(queued(archive(SIZE)))

    assert sum(bench.store.appended) < 5 * BATCH
    assert bench.state.records[3, "artifacts.zip"].size == sum(bench.store.appended)


async def test_progress_is_told_a_few_times_a_second_and_at_the_end(tmp_path):
    """The running sum over all items, no more often than the interval, exact at the end of each item."""
    bench = Bench(tmp_path)
    bench.remote.answers = [
        trickle(bench, seconds=0.05, size=5000, times=100),
        trickle(bench, seconds=0.05, size=5000, times=20),
    ]

    await bench.fetcher.fetch(queued(FILE, Item(kind="file", name="files/b", path="b")))

    told = [event.received for event in bench.events if isinstance(event, Received)]
    assert told == sorted(told)
    assert {500_000, 600_000} <= set(told)
    assert told[-1] == 600_000
    assert 20 <= len(told) <= 35

"""A broken connection, a stop and a crash cost no more than they must, and never splice two archives."""

from __future__ import annotations

import random

import anyio
import pytest

from artifact_sync.core.archive_end import TAIL
from artifact_sync.core.model import Item, Job
from artifact_sync.errors import (
    CredentialRefused,
    NoSpace,
    NotFound,
    StoreDamaged,
    Transient,
)
from artifact_sync.ports import PartRecord
from tests.unit.fetch.fetch_doubles import KIB, Answer, Bench, archive, entity, queued
from tests.zips import real_zip

NOISE = random.Random(5).randbytes(700_000)
ZIP = real_zip({"noise": NOISE, "more": NOISE[:1000]})
OTHER = real_zip({"noise": NOISE[::-1], "more": NOISE[:1000]})
SIZE = len(ZIP)
BROKEN = Transient("GET /artifacts", "connection reset")
QUEUED = queued(archive(SIZE))
ITEM = (3, "artifacts.zip")


@pytest.mark.parametrize("cut", [512, 64 * KIB, 64 * KIB + 1, 300_000, SIZE - 1])
async def test_a_broken_connection_is_taken_up_at_the_byte_where_it_broke(tmp_path, cut):
    """The rest is asked for with exact offset, ETag and size; the bytes are those of one download."""
    bench = Bench(tmp_path, entity(ZIP, cut=cut, broken=BROKEN), entity(ZIP))

    (staged,) = await bench.fetcher.fetch(QUEUED)

    assert bench.remote.asked == [(0, None, None), (cut, '"v1"', SIZE)]
    assert (tmp_path / staged.part).read_bytes() == ZIP


@pytest.mark.parametrize("cut", [0, 1, 511])
async def test_a_connection_that_breaks_before_the_first_bytes_are_judged_leaves_nothing(tmp_path, cut):
    """Too little to tell an archive from a login page is not worth keeping."""
    bench = Bench(tmp_path, entity(ZIP, cut=cut, broken=BROKEN))

    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)

    assert bench.staging == {}


async def test_it_is_taken_up_a_few_times_while_each_brings_something(tmp_path):
    """Three more connections, then the schedule decides; the part stays for it."""
    cuts = [100_000, 200_000, 300_000, 400_000]
    bench = Bench(tmp_path, *(entity(ZIP, cut=cut, broken=BROKEN) for cut in cuts))

    with pytest.raises(Transient, match="connection reset"):
        await bench.fetcher.fetch(QUEUED)

    assert [offset for offset, _, _ in bench.remote.asked] == [0, 100_000, 200_000, 300_000]
    assert bench.state.records[ITEM] == PartRecord(
        transfer_id=3, item="artifacts.zip", size=400_000, etag='"v1"', total=SIZE
    )
    assert bench.staging == {"3-0.part": 400_000}


async def test_a_connection_that_brings_nothing_is_not_taken_up_at_once(tmp_path):
    """No hot loop."""
    bench = Bench(tmp_path, entity(ZIP, cut=100_000, broken=BROKEN), entity(ZIP, cut=100_000, broken=BROKEN))

    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)

    assert len(bench.remote.asked) == 2


async def test_the_next_attempt_continues_and_the_bytes_are_whole(tmp_path):
    """What the state remembers is continued by another process."""
    bench = Bench(tmp_path, entity(ZIP, cut=250_000, broken=BROKEN), BROKEN, entity(ZIP))
    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)

    (staged,) = await bench.restarted().fetch(QUEUED)

    assert bench.remote.asked[-1] == (250_000, '"v1"', SIZE)
    assert (tmp_path / staged.part).read_bytes() == ZIP


@pytest.mark.parametrize("keep", ["in the same attempt", "in the next attempt"])
async def test_another_entity_starts_over(tmp_path, keep):
    """A changed ETag gets a whole answer, and nothing of the old bytes stays, nor of what was remembered of them."""
    first = [entity(OTHER, cut=250_000, broken=BROKEN)]
    bench = Bench(tmp_path, *first, *([BROKEN] if keep == "in the next attempt" else []), entity(ZIP, '"v2"'))
    job = queued(archive())
    if keep == "in the next attempt":
        with pytest.raises(Transient):
            await bench.fetcher.fetch(job)

    (staged,) = await bench.fetcher.fetch(job)

    assert bench.remote.asked[-1] == (250_000, '"v1"', len(OTHER))
    assert (tmp_path / staged.part).read_bytes() == ZIP
    assert staged.etag == '"v2"'
    assert all(record.size == 0 for record in bench.state.records.values())


async def test_what_was_unpacked_of_another_entity_is_forgotten(tmp_path):
    """A member that came whole before the archive changed has other bytes in the same place now; it is proved anew."""
    old = real_zip({"first": NOISE[:1000], "rest": NOISE}, compression=0)
    new = real_zip({"first": NOISE[1000:2000], "rest": NOISE}, compression=0)
    bench = Bench(tmp_path, entity(old, cut=250_000, broken=BROKEN), entity(new, '"v2"'))

    (staged,) = await bench.fetcher.fetch(queued(archive()))

    assert (tmp_path / staged.part).read_bytes() == new


async def test_the_members_of_one_attempt_are_not_read_back(tmp_path):
    """Their CRCs are computed as they come, over a broken connection too; a later attempt reads them all from the part."""
    bench = Bench(tmp_path, entity(ZIP, cut=250_000, broken=BROKEN), entity(ZIP))
    await bench.fetcher.fetch(QUEUED)
    # The end, once, and headers.
    assert bench.store.read_back < 2 * TAIL

    (tmp_path / "again").mkdir()
    bench = Bench(tmp_path / "again", *(entity(ZIP, cut=cut, broken=BROKEN) for cut in (9000, 9000)), entity(ZIP))
    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)
    await bench.fetcher.fetch(QUEUED)
    assert bench.store.read_back > len(NOISE)


@pytest.mark.parametrize(
    "answer", [entity(ZIP, None, cut=250_000, broken=BROKEN), entity(ZIP, cut=250_000, broken=BROKEN, total=None)]
)
async def test_without_strong_etag_or_size_nothing_is_continued(tmp_path, answer):
    """What cannot be proved to belong together is thrown away."""
    bench = Bench(tmp_path, answer)

    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)

    assert bench.staging == {}
    assert bench.state.records == {}


async def test_single_files_and_logs_are_never_continued(tmp_path):
    """GitLab unpacks files while sending and ignores Range; a log may have grown."""
    for item in (Item(kind="file", name="files/a", path="a"), Item(kind="trace", name="job.log")):
        bench = Bench(tmp_path, entity(ZIP, cut=250_000, broken=BROKEN))
        with pytest.raises(Transient):
            await bench.fetcher.fetch(queued(item))
        assert bench.staging == {}


async def test_a_stop_leaves_a_part_that_the_next_start_continues(tmp_path):
    """Cancelled while waiting for bytes: everything received is durable and remembered."""
    waiting = anyio.Event()

    async def stall() -> None:
        waiting.set()
        await anyio.sleep_forever()

    stalled = Answer([ZIP[: 64 * KIB], ZIP[64 * KIB : 192 * KIB], stall], total=SIZE, etag='"v1"')
    bench = Bench(tmp_path, stalled, entity(ZIP))
    async with anyio.create_task_group() as group:
        group.start_soon(bench.fetcher.fetch, QUEUED)
        await waiting.wait()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert bench.state.records[ITEM].size == 192 * KIB
    assert bench.store.log == [f"checkpoint {192 * KIB}", "close"]
    (staged,) = await bench.restarted().fetch(QUEUED)
    assert bench.remote.asked[-1] == (192 * KIB, '"v1"', SIZE)
    assert (tmp_path / staged.part).read_bytes() == ZIP


async def test_a_stop_while_verifying_costs_one_byte(tmp_path):
    """A complete part is continued too: its last byte is asked for again, to see that it is still the same entity."""
    bench = Bench(tmp_path, entity(ZIP), entity(ZIP))
    bench.state.records[ITEM] = PartRecord(transfer_id=3, item="artifacts.zip", size=SIZE, etag='"v1"', total=SIZE)
    (tmp_path / "3-0.part").write_bytes(ZIP)

    (staged,) = await bench.fetcher.fetch(QUEUED)

    assert bench.remote.asked == [(SIZE - 1, '"v1"', SIZE)]
    assert (tmp_path / staged.part).read_bytes() == ZIP


async def test_a_crash_costs_what_came_since_the_last_checkpoint(tmp_path):
    """Each time the part grew by so much it is made durable and remembered; a killed process leaves just that."""
    bench = Bench(tmp_path, entity(ZIP, cut=400_000, broken=BROKEN), entity(ZIP), checkpoint=128 * KIB, resumes=0)
    with pytest.raises(Transient):
        await bench.fetcher.fetch(QUEUED)

    assert bench.store.log[:3] == [f"checkpoint {n * 128 * KIB}" for n in (1, 2, 3)]
    bench.state.records[ITEM] = PartRecord(transfer_id=3, item="artifacts.zip", size=256 * KIB, etag='"v1"', total=SIZE)
    (staged,) = await bench.restarted().fetch(QUEUED)
    assert bench.remote.asked[-1] == (256 * KIB, '"v1"', SIZE)
    assert (tmp_path / staged.part).read_bytes() == ZIP


async def test_no_checkpoint_is_made_of_what_cannot_be_continued(tmp_path):
    """An fsync for nothing is left out."""
    bench = Bench(tmp_path, entity(ZIP, None), checkpoint=64 * KIB)

    await bench.fetcher.fetch(QUEUED)

    assert bench.store.log == ["finish"]


@pytest.mark.parametrize("record", [{"size": 0}, {"etag": ""}, {"size": SIZE + 1}, {"total": 0}])
async def test_a_record_that_makes_no_sense_is_ignored(tmp_path, record):
    """It starts at the first byte."""
    bench = Bench(tmp_path, entity(ZIP))
    bench.state.records[ITEM] = PartRecord(
        **{"transfer_id": 3, "item": "artifacts.zip", "size": 1000, "etag": '"v1"', "total": SIZE} | record
    )
    (tmp_path / "3-0.part").write_bytes(ZIP)

    (staged,) = await bench.fetcher.fetch(QUEUED)

    assert bench.remote.asked == [(0, None, None)]
    assert (tmp_path / staged.part).read_bytes() == ZIP


async def test_a_part_shorter_than_remembered_starts_over(tmp_path):
    """The store found fewer bytes than the state remembers."""
    bench = Bench(tmp_path, entity(ZIP))
    bench.state.records[ITEM] = PartRecord(transfer_id=3, item="artifacts.zip", size=5000, etag='"v1"', total=SIZE)
    (tmp_path / "3-0.part").write_bytes(ZIP[:4000])

    (staged,) = await bench.fetcher.fetch(QUEUED)

    assert bench.remote.asked == [(0, None, None)]
    assert staged.size == SIZE


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (CredentialRefused("GET /artifacts", "401"), True),
        (Transient("GET /artifacts", "503"), True),
        (NotFound("GET /artifacts", "404"), False),
    ],
)
async def test_what_ends_a_resume_decides_about_the_part(tmp_path, error, kept):
    """A part waits for a new token or a better day, not for what is gone."""
    bench = Bench(
        tmp_path, entity(ZIP, cut=250_000, broken=BROKEN), error, job=Job(id=7, name="build", status="success")
    )

    with pytest.raises(type(error)):
        await bench.fetcher.fetch(QUEUED)

    assert bench.staging == ({"3-0.part": 250_000} if kept else {})


async def test_a_damaged_archive_is_not_continued(tmp_path):
    """Good by its numbers, wrong by its CRC: the next attempt starts with an empty part."""
    damaged = ZIP[:5000] + b"!" + ZIP[5001:]
    bench = Bench(tmp_path, entity(damaged), entity(ZIP), checkpoint=64 * KIB)
    with pytest.raises(Exception, match="noise"):
        await bench.fetcher.fetch(QUEUED)

    await bench.fetcher.fetch(QUEUED)

    assert bench.remote.asked[-1] == (0, None, None)


@pytest.mark.parametrize("kind", [NoSpace, StoreDamaged])
async def test_a_part_whose_disk_failed_is_not_touched_again(tmp_path, kind):
    """No second write, no fsync after a failed one: it is removed."""

    async def refuse(part) -> None:
        if part.size >= 128 * KIB:
            raise kind("writing: no")

    bench = Bench(tmp_path, entity(ZIP))
    bench.store.before_append = refuse

    with pytest.raises(kind):
        await bench.fetcher.fetch(QUEUED)

    assert bench.store.log == []
    assert bench.staging == {}


async def test_a_failing_write_ends_a_silent_connection_at_once(tmp_path):
    """The reader does not go on waiting for bytes that nobody can write."""

    async def refuse(_part) -> None:
        raise StoreDamaged("writing: EIO")

    bench = Bench(tmp_path, Answer([ZIP[: 64 * KIB], anyio.sleep_forever], total=SIZE, etag='"v1"'))
    bench.store.before_append = refuse

    with anyio.fail_after(20), pytest.raises(StoreDamaged):
        await bench.fetcher.fetch(QUEUED)


TRACE = Item(kind="trace", name="job.log")


@pytest.mark.parametrize(
    ("etag", "error", "kept"),
    [
        ('"v1"', BROKEN, True),
        (None, BROKEN, False),
        ('"v1"', NotFound("GET /trace", "404"), False),
    ],
)
async def test_a_good_archive_survives_a_log_that_fails(tmp_path, etag, error, kept):
    """The next attempt of the transfer does not download the first item again, unless there will be none."""
    job = Job(id=7, name="build", status="success")
    bench = Bench(
        tmp_path, entity(ZIP, etag), error, entity(ZIP, etag), *(Answer([b"log"], total=3) for _ in range(2)), job=job
    )
    both = queued(archive(SIZE), TRACE)

    with pytest.raises(type(error)):
        await bench.fetcher.fetch(both)

    assert bench.staging == ({"3-0.part": SIZE} if kept else {})
    if kept:
        staged = await bench.fetcher.fetch(both)
        assert bench.remote.asked[2] == (SIZE - 1, '"v1"', SIZE)
        assert [file.size for file in staged] == [SIZE, 3]

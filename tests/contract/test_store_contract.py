"""What every store must do."""

import pytest

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.ports import Publication
from tests.storage import HOUR, NOW, publication, stage, staged_file, transfer

TWO = {"artifacts.zip": b"PK" * 5000, "files/dist/app.txt": b"text\n"}


async def test_a_part_grows_and_ends_with_its_hash(store):
    """Size and sha256 are those of the batches in order, whatever buffer they came in."""
    part = await store.part("1-0.part")
    for batch in (b"ab", bytearray(b"cd"), memoryview(b"ef"), b""):
        await part.append(batch)
    assert part.size == 6
    digest, size = await part.finish()
    assert (digest, size) == (staged_file("x", b"abcdef", "").sha256, 6)


async def test_a_part_is_taken_up_where_it_was_left(store):
    """A kept prefix is cut to the asked size and hashed again."""
    part = await store.part("1-0.part")
    await part.append(b"0123456789")
    assert await part.checkpoint() == 10
    await part.append(b"lost")
    await part.close()
    part = await store.part("1-0.part", keep=10)
    assert part.size == 10
    await part.append(b"!")
    digest, size = await part.finish()
    assert (digest, size) == (staged_file("x", b"0123456789!", "").sha256, 11)


async def test_a_finished_part_can_be_taken_up_too(store):
    """An attempt that failed on a later item does not cost this one."""
    file = await stage(store, "artifacts.zip", b"0123456789", "1-0.part")
    part = await store.part("1-0.part", keep=9)
    assert part.size == 9
    await part.append(b"9")
    assert await part.finish() == (file.sha256, 10)


@pytest.mark.parametrize("keep", [0, 11, 1 << 40])
async def test_a_part_that_is_shorter_than_asked_starts_over(store, keep):
    """Fewer bytes than promised are no prefix; none asked for are none kept."""
    part = await store.part("1-0.part")
    await part.append(b"0123456789")
    await part.close()
    part = await store.part("1-0.part", keep=keep)
    assert part.size == 0
    await part.append(b"new")
    assert (await part.finish())[0] == staged_file("x", b"new", "").sha256


async def test_a_part_can_restart(store):
    """What was written before counts no more."""
    part = await store.part("1-0.part")
    await part.append(b"wrong")
    await part.restart()
    assert part.size == 0
    await part.append(b"right")
    assert (await part.finish())[0] == staged_file("x", b"right", "").sha256


async def test_a_part_can_be_read_while_and_after_it_grows(store):
    """The reader sees what was appended, and outlives finish."""
    part = await store.part("1-0.part")
    await part.append(b"0123456789")
    with part.reader() as reader:
        assert reader.read(4) == b"0123"
        await part.finish()
        reader.seek(-2, 2)
        assert reader.read() == b"89"


async def test_closing_and_discarding_twice_is_harmless(store):
    """A discarded part is gone, also after it was finished."""
    part = await store.part("1-0.part")
    await part.append(b"x")
    await part.close()
    await part.close()
    file = await stage(store, "artifacts.zip", b"x", "2-0.part")
    assert await store.staged([file])
    finished = await store.part("2-0.part", keep=1)
    await finished.finish()
    await finished.discard()
    await finished.discard()
    assert not await store.staged([file])


async def test_what_is_published_is_there(store):
    """has and exists agree before and after."""
    wanted = await publication(store, TWO)
    dest = wanted.transfer.dest
    assert not await store.has(dest, wanted.files)
    assert not await store.exists(dest, wanted.files)
    assert await store.staged(wanted.files)
    published = await store.publish(wanted)
    assert (published.dest, published.size) == (dest, 10005)
    assert await store.has(dest, wanted.files)
    assert await store.exists(dest, wanted.files)


async def test_publishing_again_changes_nothing(store):
    """The same publication, also without its parts and at a later time, gives the same manifest."""
    wanted = await publication(store, TWO)
    first = await store.publish(wanted)
    later = Publication(transfer=wanted.transfer, files=wanted.files, at=NOW + HOUR)
    assert await store.publish(later) == first


async def test_parts_that_became_objects_count_as_staged(store):
    """A publication that was killed after its first step needs no new download."""
    wanted = await publication(store, TWO)
    await store.publish(wanted)
    assert await store.staged(wanted.files)


async def test_two_rules_share_a_destination(store):
    """The second adds its files and its name; the first one's stay."""
    first = await publication(store, TWO)
    await store.publish(first)
    both = transfer(names=("artifacts.zip", "job.log"), rules=("logs",))
    log = await stage(store, "job.log", b"log", "9-0.part")
    published = await store.publish(Publication(transfer=both, files=(log,), at=NOW + HOUR))
    assert published.size == 10008
    assert await store.has(both.dest, (*first.files, log))


async def test_other_bytes_of_the_same_name_are_refused(store):
    """Nothing published is overwritten; the error names both."""
    first = await publication(store, TWO)
    await store.publish(first)
    other = await publication(store, {"artifacts.zip": b"other"})
    with pytest.raises(Corrupt) as caught:
        await store.publish(other)
    assert first.files[0].sha256 in str(caught.value)
    assert other.files[0].sha256 in str(caught.value)
    assert await store.has(first.transfer.dest, first.files)


async def test_a_conflict_in_one_file_adds_none_of_the_others(store):
    """All files are judged before the first is placed."""
    first = await publication(store, TWO)
    await store.publish(first)
    mixed = await publication(store, {"job.log": b"log", "artifacts.zip": b"other"})
    with pytest.raises(Corrupt):
        await store.publish(mixed)
    assert not await store.exists(first.transfer.dest, mixed.files[:1])


async def test_another_job_is_refused_at_a_taken_destination(store):
    """Two jobs never mix."""
    await store.publish(await publication(store, TWO))
    other = transfer(8, dest=transfer().dest, names=("job.log",))
    with pytest.raises(Corrupt, match="job 7"):
        await store.publish(await publication(store, {"job.log": b"log"}, of=other))


async def test_a_missing_part_is_corrupt(store):
    """Without the bytes nothing is published."""
    wanted = transfer()
    ghost = staged_file("artifacts.zip", b"ghost", "1-0.part")
    with pytest.raises(Corrupt):
        await store.publish(Publication(transfer=wanted, files=(ghost,), at=NOW))
    assert not await store.exists(wanted.dest, [ghost])


async def test_destinations_may_lie_inside_each_other(store):
    """A directory that is another publication's parent becomes a publication itself, and the other way round."""
    inner = await publication(store, {"job.log": b"1"}, of=transfer(1, dest="a/b/c", names=("job.log",)))
    outer = await publication(store, {"job.log": b"2"}, of=transfer(2, dest="a/b", names=("job.log",)))
    deepest = await publication(store, {"job.log": b"3"}, of=transfer(3, dest="a/b/c/d", names=("job.log",)))
    for each in (inner, outer, deepest):
        await store.publish(each)
    for each in (inner, outer, deepest):
        assert await store.has(each.transfer.dest, each.files)


@pytest.mark.parametrize("dest", ["", "/etc", "a//b", "a/", "..", "a/../b", ".", "a/.staging", "a\0b", "a/\udcff"])
async def test_a_destination_that_leads_astray_is_refused(store, dest):
    """Encoding is the core's work; the store trusts no string."""
    wanted = await publication(store, TWO, of=transfer(dest=dest, names=tuple(TWO)))
    with pytest.raises(StoreError):
        await store.publish(wanted)


@pytest.mark.parametrize("name", ["../x", "/x", "files/../../x", "SHA256SUMS", ".artifact-sync.json", "files/.x"])
async def test_a_file_name_that_leads_astray_is_refused(store, name):
    """The same holds for names inside a publication, and those of the store's own files."""
    wanted = await publication(store, {name: b"x"}, of=transfer(names=(name,)))
    with pytest.raises(StoreError):
        await store.publish(wanted)


async def test_sweep_removes_only_what_is_not_wanted(store):
    """Strays of earlier runs go, parts that can be resumed stay."""
    wanted = await stage(store, "artifacts.zip", b"1", "1-0.part")
    await stage(store, "artifacts.zip", b"2", "2-0.part")
    assert await store.sweep(lambda name: name == "1-0.part") == 1
    assert await store.staged([wanted])
    assert await store.sweep(lambda name: name == "1-0.part") == 0


async def test_one_content_for_many_jobs(store):
    """The same bytes under several destinations, and twice in one."""
    for job_id in range(1, 6):
        names = {"artifacts.zip": b"same", "files/copy": b"same", "files/empty": b""}
        wanted = await publication(store, names, of=transfer(job_id, names=tuple(names)))
        await store.publish(wanted)
        assert await store.has(wanted.transfer.dest, wanted.files)


async def test_published_files_are_there_after_reopening(open_store):
    """What one run published the next one finds."""
    async with open_store() as store:
        wanted = await publication(store, TWO)
        await store.publish(wanted)
        await store.sync()
    async with open_store() as store:
        assert await store.has(wanted.transfer.dest, wanted.files)
        assert await store.free() > 0


async def test_has_is_not_satisfied_by_other_claims(store):
    """A wrong hash, a wrong size or a file more: it is not what was asked for."""
    wanted = await publication(store, TWO)
    await store.publish(wanted)
    dest, file = wanted.transfer.dest, wanted.files[0]
    lies: list[StagedFile] = [
        staged_file("artifacts.zip", b"KP" * 5000, ""),
        staged_file("artifacts.zip", b"short", ""),
        staged_file("job.log", b"", ""),
    ]
    for lie in lies:
        assert not await store.has(dest, [file, lie])
    assert await store.exists(dest, [file, lies[0]])
    assert not await store.exists(dest, [file, lies[1]])
    assert not await store.exists(dest, [file, lies[2]])

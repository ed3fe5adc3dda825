"""A file of somebody's own: nothing of theirs is lost, and it appears whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from artifact_sync.errors import UsageError
from artifact_sync.ports import PartRecord
from artifact_sync.store import OwnFile

RECORD = PartRecord(transfer_id=0, item="artifacts.zip", size=3, etag='"abc"', total=9)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_it_appears_whole(tmp_path):
    """As readable as the umask lets it be, with nothing beside it."""
    target = tmp_path / "a.zip"
    before = os.umask(0o027)
    try:
        async with OwnFile.open(target, what="x") as own:
            part = await own.part(own.name)
            await part.append(b"bytes")
            assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
            await part.finish()
            assert not target.exists()
            await own.show()
    finally:
        os.umask(before)
    assert target.read_bytes() == b"bytes"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert names(tmp_path) == ["a.zip"]


async def test_a_part_is_taken_up(tmp_path):
    """By the same thing alone, with what was remembered of it."""
    target = tmp_path / "a.zip"
    async with OwnFile.open(target, what="job 1") as own:
        part = await own.part(own.name)
        await part.append(b"abcdef")
        await part.checkpoint()
        await own.save_part(RECORD)
        await part.close()
    async with OwnFile.open(target, what="job 1") as own:
        assert await own.part_record(0, "artifacts.zip") == RECORD
        assert await own.part_record(0, "job.log") is None
        part = await own.part(own.name, keep=3)
        assert part.size == 3
        await part.close()
    async with OwnFile.open(target, what="job 2") as own:
        assert await own.part_record(0, "artifacts.zip") is None


async def test_a_record_that_was_cut_off(tmp_path):
    """Is none."""
    target = tmp_path / "a.zip"
    (tmp_path / "a.zip.part").write_bytes(b"abc")
    (tmp_path / "a.zip.part.json").write_bytes(b'{"what":"x","part":{"tra')
    async with OwnFile.open(target, what="x") as own:
        assert await own.part_record(0, "artifacts.zip") is None


async def test_without_a_part_nothing_is_left(tmp_path):
    """A download that failed at once leaves the folder as it was."""
    async with OwnFile.open(tmp_path / "a.zip", what="x") as own:
        assert await own.free() > 0
    assert names(tmp_path) == []


async def test_two_at_once(tmp_path):
    """The second is told, and the first goes on."""
    async with OwnFile.open(tmp_path / "a.zip", what="x"):
        with pytest.raises(UsageError, match="another process is writing"):
            async with OwnFile.open(tmp_path / "a.zip", what="x"):
                pass
    async with OwnFile.open(tmp_path / "a.zip", what="x"):
        pass


@pytest.mark.parametrize("force", [False, True])
async def test_what_stands_there(tmp_path, force):
    """Stays unless it was said to go, also where it came meanwhile."""
    target = tmp_path / "a.zip"
    async with OwnFile.open(target, what="x", force=force) as own:
        part = await own.part(own.name)
        await part.append(b"new")
        await part.finish()
        target.write_bytes(b"mine")
        if force:
            await own.show()
        else:
            with pytest.raises(UsageError, match="is there already"):
                await own.show()
            await part.discard()
    assert target.read_bytes() == (b"new" if force else b"mine")
    if not force:
        with pytest.raises(UsageError, match="is there already"):
            async with OwnFile.open(target, what="x"):
                pass


async def test_a_part_of_somebody_else(tmp_path):
    """A browser's, perhaps: it is left alone."""
    (tmp_path / "a.zip.part").write_bytes(b"theirs")
    with pytest.raises(UsageError, match="not of this program"):
        async with OwnFile.open(tmp_path / "a.zip", what="x"):
            pass
    assert (tmp_path / "a.zip.part").read_bytes() == b"theirs"


@pytest.mark.parametrize("where", ["no/a.zip", "folder"])
async def test_where_no_file_can_be(tmp_path, where):
    """A folder that is not there, and one in the file's place."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError):
        async with OwnFile.open(tmp_path / where, what="x", force=True):
            pass
    assert names(tmp_path) == ["folder"]


async def test_no_link_is_written_through(tmp_path):
    """Neither where the part goes nor where its record goes."""
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / "a.zip.part.json").write_bytes(b"")
    (tmp_path / "a.zip.part").symlink_to(other)
    async with OwnFile.open(tmp_path / "a.zip", what="x") as own:
        part = await own.part(own.name)
        await part.append(b"new")
        await part.finish()
        await own.show()
    assert (other.read_bytes(), (tmp_path / "a.zip").read_bytes()) == (b"mine", b"new")

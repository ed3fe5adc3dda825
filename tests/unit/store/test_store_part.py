"""Parts when the disk fails; the errors are the kernel's own."""

import errno
import os

import pytest

from artifact_sync.errors import NoSpace, StoreDamaged, StoreError
from artifact_sync.store import LocalStore
from tests.storage import staged_file


def redirect(part, path: str) -> None:
    """Let the part's descriptor mean a device whose driver fails as a bad disk does."""
    fd = os.open(path, os.O_RDWR)
    os.dup2(fd, part._fd, inheritable=False)
    os.close(fd)


async def test_a_new_part_is_private_and_a_finished_one_read_only(store, staging):
    """0600 while it grows; then what the umask leaves of 0444, because published files share its inode."""
    part = await store.part("1-0.part")
    assert (staging / "1-0.part").stat().st_mode & 0o7777 == 0o600
    await part.finish()
    umask = os.umask(0o022)
    os.umask(umask)
    assert (staging / "1-0.part").stat().st_mode & 0o7777 == 0o444 & ~umask


async def test_a_full_disk_is_no_space_and_keeps_the_part(store, staging):
    """What was written stays for the next attempt."""
    part = await store.part("1-0.part")
    await part.append(b"0123")
    await part.checkpoint()
    redirect(part, "/dev/full")
    with pytest.raises(NoSpace) as caught:
        await part.append(b"4567")
    assert caught.value.hint
    assert part.size == 4
    await part.close()
    assert (staging / "1-0.part").read_bytes() == b"0123"


async def test_a_failing_write_is_damage_and_removes_the_part(store, staging):
    """EIO: these bytes are not to be trusted."""
    part = await store.part("1-0.part")
    redirect(part, "/proc/self/mem")
    with pytest.raises(StoreDamaged):
        await part.append(b"x")
    assert not (staging / "1-0.part").exists()


@pytest.mark.parametrize("step", ["checkpoint", "finish"])
async def test_fsync_is_never_tried_again(store, staging, step):
    """After its failure the part is gone and takes nothing more, until it starts anew."""
    part = await store.part("1-0.part")
    await part.append(b"x")
    reading, writing = os.pipe()
    os.dup2(writing, part._fd, inheritable=False)
    with pytest.raises(StoreDamaged) as caught:
        await getattr(part, step)()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EINVAL
    assert not (staging / "1-0.part").exists()
    for again in (part.checkpoint, part.finish, lambda: part.append(b"y")):
        with pytest.raises(StoreError):
            await again()
    await part.restart()
    await part.append(b"y")
    assert (await part.finish())[0] == staged_file("x", b"y", "").sha256
    os.close(reading)
    os.close(writing)


async def test_a_planted_link_is_not_written_through(store, staging, tmp_path):
    """Neither a symbolic one nor a hard one to what is published."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    (staging / "1-0.part").symlink_to(victim)
    (staging / "2-0.part").hardlink_to(victim)
    for name in ("1-0.part", "2-0.part"):
        for keep in (3, 0):
            part = await store.part(name, keep=keep)
            assert part.size == 0
            await part.append(b"evil")
            await part.discard()
    assert victim.read_bytes() == b"victim"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".x", "publish-0"])
async def test_a_part_cannot_leave_staging(store, name):
    """Nor take the name of a publication that is being built."""
    with pytest.raises(StoreError):
        await store.part(name)


async def test_no_part_below_the_reserve(tmp_path):
    """New downloads pause; the rest goes on."""
    async with LocalStore.open(tmp_path, min_free=1 << 62) as store:
        with pytest.raises(NoSpace, match="min_free"):
            await store.part("1-0.part")
        await store.sync()


async def test_the_reader_of_a_missing_part_is_damage(store, staging):
    """Somebody else was at work in staging."""
    part = await store.part("1-0.part")
    (staging / "1-0.part").unlink()
    with pytest.raises(StoreDamaged):
        part.reader()
    await part.close()


async def test_a_closed_store_takes_nothing(tmp_path):
    """A late caller is refused, rather than writing through a descriptor that means another file by now."""
    async with LocalStore.open(tmp_path) as store:
        part = await store.part("1-0.part")
    with pytest.raises(StoreError, match="closed"):
        await part.append(b"x")
    with pytest.raises(StoreError, match="closed"):
        await store.free()
    os.close(part._fd)

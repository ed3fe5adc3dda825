"""What is particular to a store on a local directory."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from artifact_sync.errors import Corrupt, Obstructed, StoreDamaged, StoreError
from artifact_sync.ports import Publication
from artifact_sync.store import LocalStore, manifest
from tests.storage import NOW, publication, stage, transfer

FILES = {"artifacts.zip": b"PK" * 3000, "files/dist/a b.txt": b"text", "job.log": b"log"}


def sha256sum(directory: Path) -> str:
    """What coreutils says of a publication."""
    command = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


async def test_what_lies_on_disk(store, tmp_path):
    """Files are links to objects, SHA256SUMS satisfies sha256sum, the private directories are private."""
    wanted = await publication(store, FILES)
    await store.publish(wanted)
    dest = tmp_path / "tree" / wanted.transfer.dest
    for file in wanted.files:
        assert (dest / file.name).samefile(tmp_path / "objects" / file.sha256[:2] / file.sha256)
    assert sha256sum(dest) == "artifacts.zip: OK\nfiles/dist/a b.txt: OK\njob.log: OK\n"
    assert list((tmp_path / ".staging").iterdir()) == []
    for private in (".staging", ".trash", ".quarantine"):
        assert (tmp_path / private).stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize(("umask", "file", "directory"), [(0o022, 0o444, 0o755), (0o077, 0o400, 0o700)])
async def test_the_umask_decides_who_may_read(tmp_path, umask, file, directory):
    """Of files, of the store's own files beside them, and of directories."""
    before = os.umask(umask)
    try:
        async with LocalStore.open(tmp_path / "s") as store:
            wanted = await publication(store, FILES)
            await store.publish(wanted)
    finally:
        os.umask(before)
    dest = tmp_path / "s" / "tree" / wanted.transfer.dest
    for name in (*FILES, "SHA256SUMS", ".artifact-sync.json"):
        assert (dest / name).stat().st_mode & 0o7777 == file
    for path in (dest, dest.parent, dest / "files"):
        assert path.stat().st_mode & 0o7777 == directory


@pytest.mark.parametrize("depth", [0, 1, 3])
async def test_a_planted_link_in_the_tree_is_refused(store, tmp_path, depth):
    """Nothing is written through it, and the error says what to do."""
    outside = tmp_path / "outside"
    outside.mkdir()
    wanted = await publication(store, FILES, of=transfer(dest="a/b/c/d", names=tuple(FILES)))
    link = tmp_path.joinpath("tree", *"abcd"[: depth + 1])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    assert not await store.has("a/b/c/d", wanted.files)
    assert not await store.exists("a/b/c/d", wanted.files)
    with pytest.raises(Obstructed) as caught:
        await store.publish(wanted)
    assert "link" in caught.value.hint
    assert list(outside.iterdir()) == []
    assert await store.staged(wanted.files)
    link.unlink()
    await store.publish(wanted)
    assert await store.has("a/b/c/d", wanted.files)


async def test_a_planted_link_among_published_files_is_refused(store, tmp_path):
    """Also where a file should be, and where a directory inside the publication should be."""
    await store.publish(await publication(store, {"job.log": b"log"}))
    dest = tmp_path / "tree" / transfer().dest
    (dest / "files").symlink_to(tmp_path)
    (dest / "artifacts.zip").symlink_to(tmp_path / "missing")
    for name in ("files/x", "artifacts.zip"):
        with pytest.raises(Obstructed):
            await store.publish(await publication(store, {name: b"x"}))
    assert not (tmp_path / "x").exists()


async def test_a_file_where_the_destination_goes_is_refused(store, tmp_path):
    """It is not removed either."""
    (tmp_path / "tree" / "a").write_text("mine")
    wanted = await publication(store, FILES, of=transfer(dest="a/b", names=tuple(FILES)))
    with pytest.raises(Obstructed):
        await store.publish(wanted)
    assert (tmp_path / "tree" / "a").read_text() == "mine"


async def test_bytes_that_changed_on_disk_are_noticed_set_aside_and_replaced(store, tmp_path):
    """has reads; exists does not; a new download heals the tree and the object, and the bad bytes are kept."""
    wanted = await publication(store, FILES)
    await store.publish(wanted)
    path = tmp_path / "tree" / wanted.transfer.dest / "artifacts.zip"
    path.chmod(0o600)
    path.write_bytes(b"PX" * 3000)
    assert await store.exists(wanted.transfer.dest, wanted.files)
    assert not await store.has(wanted.transfer.dest, wanted.files)
    again = await publication(store, FILES)
    await store.publish(again)
    assert await store.has(wanted.transfer.dest, wanted.files)
    assert path.samefile(tmp_path / "objects" / wanted.files[0].sha256[:2] / wanted.files[0].sha256)
    aside = list((tmp_path / ".quarantine").iterdir())
    assert {each.read_bytes() for each in aside} == {b"PX" * 3000}


async def test_a_lost_file_is_put_back(store, tmp_path):
    """From its object if that is all there is left of it, without a part."""
    wanted = await publication(store, FILES)
    first = await store.publish(wanted)
    (tmp_path / "tree" / wanted.transfer.dest / "job.log").unlink()
    (tmp_path / "tree" / wanted.transfer.dest / "SHA256SUMS").unlink()
    assert not await store.exists(wanted.transfer.dest, wanted.files)
    assert await store.publish(wanted) == first
    assert await store.has(wanted.transfer.dest, wanted.files)
    assert (tmp_path / "tree" / wanted.transfer.dest / "SHA256SUMS").read_text().count("\n") == 3


async def test_a_damaged_manifest_is_never_overwritten(store, tmp_path):
    """It may hold the only word on another rule's files."""
    wanted = await publication(store, FILES)
    await store.publish(wanted)
    path = tmp_path / "tree" / wanted.transfer.dest / ".artifact-sync.json"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-40])
    assert not await store.has(wanted.transfer.dest, wanted.files)
    with pytest.raises(Corrupt, match="manifest"):
        await store.publish(wanted)


async def test_a_failed_fsync_ends_publishing(store, tmp_path):
    """The kernel may call lost pages clean, so nothing is published until the next start has looked."""
    wanted = await publication(store, FILES)
    reading, writing = os.pipe()
    kept = os.dup(store._layout.staging)
    with pytest.raises(StoreDamaged, match="fsync of"):
        store._publisher.sync.file(writing, "a test")
    with pytest.raises(StoreDamaged, match="earlier fsync"):
        await store.publish(wanted)
    assert not await store.exists(wanted.transfer.dest, wanted.files)
    for fd in (reading, writing, kept):
        os.close(fd)


async def test_two_filesystems_in_one_store_are_refused(tmp_path):
    """Files are published by rename, which works within one."""
    other = next((each for each in ("/dev/shm", "/run") if _device(Path(each)) != _device(tmp_path)), None)
    assert other is not None, "every machine that runs these tests has a tmpfs"
    (tmp_path / "objects").symlink_to(other)
    with pytest.raises(StoreError):
        async with LocalStore.open(tmp_path):
            pass


async def test_a_store_that_cannot_be_made_says_so(tmp_path):
    """With a hint, and no traceback of the operating system's."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        async with LocalStore.open(tmp_path / "file" / "store"):
            pass
    assert caught.value.hint


async def test_no_secret_reaches_the_manifest(store, tmp_path):
    """A signed URL's query is cut, whoever handed it in."""
    file = await stage(store, "artifacts.zip", b"x", "1-0.part")
    signed = type(file)(
        name=file.name,
        part=file.part,
        sha256=file.sha256,
        size=file.size,
        source="https://bucket.example.com/artifacts.zip?X-Amz-Signature=c2VjcmV0#frag",
    )
    await store.publish(Publication(transfer=transfer(), files=(signed,), at=NOW))
    content = (tmp_path / "tree" / transfer().dest / ".artifact-sync.json").read_bytes()
    assert b"c2VjcmV0" not in content
    assert b"?" not in content
    (entry,) = manifest.parse(content, where="").files
    assert entry.source == "https://bucket.example.com/artifacts.zip"


async def test_what_obstructs_one_destination_is_no_damage_of_the_store(store, tmp_path):
    """A link, a file or a directory in the way concerns that publication alone; the next one is published."""
    tree = tmp_path / "tree"
    (tree / "link").symlink_to(tmp_path)
    (tree / "file").write_text("mine")
    (tree / "named" / "job.log").mkdir(parents=True)
    for dest in ("link", "file/below", "named"):
        with pytest.raises(Obstructed) as caught:
            await store.publish(await publication(store, {"job.log": b"x"}, of=transfer(dest=dest, names=("job.log",))))
        assert not isinstance(caught.value, StoreDamaged)
        assert caught.value.hint
    assert (await store.publish(await publication(store, FILES))).dest == transfer().dest


async def test_rubbish_in_staging_does_not_stop_the_start(tmp_path):
    """Not even a directory of any name; the sweep takes it."""
    async with LocalStore.open(tmp_path):
        pass
    for name in ("umask", "1-0.part", "publish-x"):
        (tmp_path / ".staging" / name).mkdir()
    (tmp_path / ".staging" / "umask" / "file").write_text("")
    async with LocalStore.open(tmp_path) as store:
        assert await store.sweep(lambda _: False) == 3
    assert list((tmp_path / ".staging").iterdir()) == []


def _remove(store: Path, aside: Path) -> None:
    store.rename(aside / "gone")
    shutil.rmtree(aside / "gone")


def _replace(store: Path, aside: Path) -> None:
    shutil.copytree(store, aside / "copy")
    _remove(store, aside)
    (aside / "copy").rename(store)


def _cover_with_a_file(store: Path, aside: Path) -> None:
    _remove(store, aside)
    store.parent.rmdir()
    store.parent.write_text("")


def _replace_the_tree(store: Path, aside: Path) -> None:
    (store / "tree").rename(aside / "tree")
    (store / "tree").mkdir()


def _remove_staging(store: Path, aside: Path) -> None:
    shutil.rmtree(store / ".staging")


@pytest.mark.parametrize("change", [_remove, _replace, _cover_with_a_file, _replace_the_tree, _remove_staging])
async def test_a_store_that_is_not_there_any_more_is_noticed(tmp_path, change):
    """Bytes written into a removed directory would be gone with the process, and be called published."""
    path = tmp_path / "disk" / "store"
    async with LocalStore.open(path) as store:
        wanted = await publication(store, FILES)
        await store.publish(await publication(store, {"job.log": b"x"}, of=transfer(dest="before", names=("job.log",))))
        change(path, tmp_path)
        with pytest.raises(StoreDamaged, match="not the one that was opened") as caught:
            await store.publish(wanted)
        assert "start artifact-sync again" in caught.value.hint
        with pytest.raises(StoreDamaged, match="not the one that was opened"):
            await store.part("9-0.part")


async def test_a_store_that_was_moved_with_its_path_is_still_there(tmp_path):
    """A rename and back, or a path through a link, is no other store."""
    async with LocalStore.open(tmp_path / "store") as store:
        (tmp_path / "store").rename(tmp_path / "other")
        (tmp_path / "store").symlink_to("other")
        assert (await store.publish(await publication(store, FILES))).size > 0


@pytest.mark.parametrize("dest", ["SHA256SUMS", "a/SHA256SUMS", "a/SHA256SUMS/7"])
async def test_no_destination_has_the_name_of_the_sums(store, dest):
    """It would stand where a publication's own goes, and be checked as one."""
    with pytest.raises(StoreError, match="cannot be the name of a destination") as caught:
        await store.publish(await publication(store, {"job.log": b"x"}, of=transfer(dest=dest, names=("job.log",))))
    assert "SHA256SUMS" in caught.value.hint


def _device(path: Path) -> int:
    return path.stat().st_dev

"""What every store must do with an archive that is published as the files in it."""

import hashlib
import io
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from artifact_sync.core.model import Item
from artifact_sync.core.unpacking import Contents, Rejected, Unpack, Unpacked
from artifact_sync.errors import Corrupt, DoesNotFit, StoreError
from artifact_sync.ports import Publication, Store
from artifact_sync.store.manifest import Manifest, parse
from tests.hostile_archives import HOSTILE
from tests.storage import NOW, contents, stage, staged_file, transfer

FILES = {
    "dist/app": (b"#!/bin/sh\n", 0o755),
    "dist/data": (b"#!/bin/sh\n", 0o644),
    "a\\b: c.txt": (b"odd\n", 0o644),
    "SHA256SUMS": (b"its own\n", 0o600),
    "deep/er/x": (b"x", 0o4755),
}
INTO = "7-content"
MANY = 1 << 40


def zipped() -> bytes:
    """FILES, an empty directory and a link."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, (content, mode) in FILES.items():
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, content)
        archive.mkdir("empty")
        link = zipfile.ZipInfo("dist/latest")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "app")
    return sink.getvalue()


async def unpacked(store: Store, unpack: Unpack = Unpack.ALSO) -> Publication:
    """What the fetcher makes of the archive."""
    archive = await stage(store, "artifacts.zip", zipped(), "7-0.part")
    verdict = await store.unpack("7-0.part", into=INTO, available=MANY)
    assert isinstance(verdict, Unpacked)
    archive = replace(archive, published=unpack is not Unpack.ONLY, contents=Contents.of(verdict))
    item = Item(kind="archive", name="artifacts.zip", unpack=unpack)
    wanted = replace(transfer(), items=(item,))
    return Publication(transfer=wanted, files=(archive, *contents(verdict, INTO)), at=NOW)


def folder(path: Path) -> Path:
    """Of the only publication below the path."""
    (found,) = (path / "mirror" / "tree").rglob(".artifact-sync.json")
    return found.parent


def manifest(path: Path) -> Manifest:
    """Of the only publication below the path."""
    return parse((folder(path) / ".artifact-sync.json").read_bytes(), where="")


def shown(path: Path) -> dict[str, bytes]:
    """Every file of the only publication but the store's own."""
    there = folder(path)
    found = {str(each.relative_to(there)): each.read_bytes() for each in sorted(there.rglob("*")) if each.is_file()}
    return {name: content for name, content in found.items() if name not in {"SHA256SUMS", ".artifact-sync.json"}}


def checked(there: Path) -> tuple[int, int]:
    """What `sha256sum -c` ends with, and how many files it proved."""
    command = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
    ran = subprocess.run(command, cwd=there, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout.count(": OK\n")


def staging(path: Path) -> list[str]:
    """What lies there."""
    return sorted(each.name for each in (path / "mirror" / ".staging").iterdir())


@pytest.mark.parametrize("unpack", [Unpack.ALSO, Unpack.ONLY])
async def test_the_files_of_an_archive_are_published(store, tmp_path, unpack):
    """Each under content/ by its encoded path, with the archive or without; sha256sum agrees, and staging is empty."""
    wanted = await unpacked(store, unpack)
    assert await store.staged(wanted.files)
    assert not await store.exists(wanted.transfer.dest, wanted.files)

    published = await store.publish(wanted)

    expected = {f"content/{name}": content for name, (content, _) in FILES.items()}
    expected["content/a%5Cb%3A c.txt"] = expected.pop("content/a\\b: c.txt")
    if unpack is Unpack.ALSO:
        expected["artifacts.zip"] = zipped()
    assert shown(tmp_path) == expected
    assert published.size == sum(map(len, expected.values()))
    assert await store.has(wanted.transfer.dest, wanted.files)
    assert await store.exists(wanted.transfer.dest, wanted.files)
    assert staging(tmp_path) == []
    assert checked(folder(tmp_path)) == (0, len(expected))


async def test_the_manifest_tells_what_was_unpacked(store, tmp_path):
    """Members under their own names, links that were left out, and the archive that is not there itself."""
    wanted = await unpacked(store, Unpack.ONLY)
    await store.publish(wanted)
    told = manifest(tmp_path)
    assert {(file.kind, file.path, file.executable) for file in told.files} == {
        ("content", name, bool(mode & 0o100)) for name, (_, mode) in FILES.items()
    }
    (entry,) = told.unpacked
    assert (entry.name, entry.published, entry.sha256) == (
        "artifacts.zip",
        False,
        hashlib.sha256(zipped()).hexdigest(),
    )
    assert entry.contents.rejected is None
    assert [(link.member, link.target) for link in entry.contents.skipped] == [("dist/latest", "app")]


async def test_modes_are_those_of_what_is_published_and_executable_where_they_were(store, tmp_path):
    """Nobody may write; the same bytes are executable in one place and not in another; no other bit is taken over."""
    plain = await stage(store, "job.log", b"#!/bin/sh\n", "9-0.part")
    await store.publish(Publication(transfer=transfer(9, names=("job.log",)), files=(plain,), at=NOW))
    await store.publish(await unpacked(store, Unpack.ONLY))
    (log,) = (tmp_path / "mirror" / "tree").rglob("job.log")
    usual = stat.S_IMODE(log.stat().st_mode)
    assert usual & 0o222 == 0
    there = next((tmp_path / "mirror" / "tree").rglob("content"))
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in there.rglob("*") if each.is_file()}
    runs = usual | (usual & 0o444) >> 2
    assert modes == {"app": runs, "data": usual, "a%5Cb%3A c.txt": usual, "SHA256SUMS": usual, "x": runs}
    assert (there / "dist" / "data").samefile(log)
    assert not (there / "dist" / "app").samefile(log)
    assert stat.S_IMODE(log.stat().st_mode) == usual


async def test_publishing_unpacked_files_again_changes_nothing(store, tmp_path):
    """Also without the parts, which a publication that was killed has moved already."""
    wanted = await unpacked(store)
    first = await store.publish(wanted)
    assert await store.staged(wanted.files)
    assert await store.publish(wanted) == first
    again = await unpacked(store)
    assert await store.publish(again) == first
    assert staging(tmp_path) == []


async def test_files_join_an_archive_that_is_published_already(store, tmp_path):
    """A rule that unpacks comes later: content/ appears beside what is there."""
    archive = await stage(store, "artifacts.zip", zipped(), "7-0.part")
    await store.publish(Publication(transfer=transfer(), files=(archive,), at=NOW))
    assert list(shown(tmp_path)) == ["artifacts.zip"]
    wanted = await unpacked(store)
    await store.publish(wanted)
    assert len(shown(tmp_path)) == 1 + len(FILES)
    assert await store.has(wanted.transfer.dest, wanted.files)


async def test_what_is_unpacked_counts_as_there_only_whole(store, tmp_path):
    """One file changed, or gone, and the publication is not what it was."""
    wanted = await unpacked(store, Unpack.ONLY)
    await store.publish(wanted)
    data = folder(tmp_path) / "content" / "deep" / "er" / "x"
    data.unlink()
    data.write_bytes(b"y")
    assert await store.exists(wanted.transfer.dest, wanted.files)
    assert not await store.has(wanted.transfer.dest, wanted.files)
    data.unlink()
    assert not await store.exists(wanted.transfer.dest, wanted.files)


async def test_a_missing_file_of_many_publishes_nothing(store, tmp_path):
    """All or nothing, also where staging was tampered with."""
    wanted = await unpacked(store)
    (tmp_path / "mirror" / ".staging" / INTO / "dist" / "data").unlink()
    assert not await store.staged(wanted.files)
    with pytest.raises(Corrupt, match="content/dist/data"):
        await store.publish(wanted)
    assert list((tmp_path / "mirror" / "tree").rglob(".artifact-sync.json")) == []


@pytest.mark.parametrize("name", ["parent", "pipe"])
async def test_a_hostile_archive_is_rejected_and_leaves_nothing(store, tmp_path, name):
    """Only the archive itself lies in staging then, to be published as a file."""
    evil = HOSTILE[name]
    await stage(store, "artifacts.zip", evil.data, "7-0.part")
    verdict = await store.unpack("7-0.part", into=INTO, available=MANY)
    assert isinstance(verdict, Rejected)
    assert (verdict.rule, verdict.member) == (evil.rule, evil.member)
    assert staging(tmp_path) == ["7-0.part"]


async def test_what_does_not_fit_is_tried_later(store, tmp_path):
    """It is no fault of the archive's, which stays."""
    await stage(store, "artifacts.zip", zipped(), "7-0.part")
    with pytest.raises(DoesNotFit):
        await store.unpack("7-0.part", into=INTO, available=10)
    assert staging(tmp_path) == ["7-0.part"]


async def test_unpacking_again_begins_anew(store, tmp_path):
    """What an attempt before left behind is no part of it."""
    await unpacked(store)
    (tmp_path / "mirror" / ".staging" / INTO / "stray").write_bytes(b"x")
    wanted = await unpacked(store)
    assert not (tmp_path / "mirror" / ".staging" / INTO / "stray").exists()
    await store.publish(wanted)


async def test_sweep_removes_what_was_unpacked(store, tmp_path):
    """A whole tree, if nobody wants it."""
    await unpacked(store)
    assert await store.sweep(lambda name: name.endswith(".part")) == 1
    assert staging(tmp_path) == ["7-0.part"]


@pytest.mark.parametrize("name", ["../x", "/x", "", ".", "a/b", "publish-x"])
async def test_a_directory_that_is_not_in_staging_is_refused(store, name):
    """The store trusts no string."""
    await stage(store, "artifacts.zip", zipped(), "7-0.part")
    with pytest.raises(StoreError):
        await store.unpack("7-0.part", into=name, available=MANY)
    with pytest.raises(StoreError):
        await store.unpack(name, into=INTO, available=MANY)


@pytest.mark.parametrize("part", ["../7-0.part", "/etc/passwd", "7-content/../7-0.part", "7-content//x", "."])
async def test_a_part_that_leads_out_of_staging_is_refused(store, part):
    """The state may have been changed by hand."""
    await stage(store, "artifacts.zip", b"x", "7-0.part")
    lie = staged_file("artifacts.zip", b"x", part)
    with pytest.raises(StoreError):
        await store.publish(Publication(transfer=transfer(), files=(lie,), at=NOW))


async def test_content_without_an_archive_that_is_to_be_unpacked_is_no_item(store):
    """A manifest names nothing that its transfer did not ask for."""
    wanted = await unpacked(store)
    with pytest.raises(StoreError, match="no item"):
        await store.publish(Publication(transfer=transfer(), files=wanted.files, at=NOW))

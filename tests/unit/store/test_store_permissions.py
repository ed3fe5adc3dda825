"""Who may read what is published: modes and groups of files, folders and what is written beside them."""

import grp
import io
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from artifact_sync.core.model import Item
from artifact_sync.core.newest import Link, Linkable
from artifact_sync.core.unpacking import Unpack, Unpacked
from artifact_sync.errors import StoreError
from artifact_sync.ports import Publication
from artifact_sync.store import Access, LocalStore
from artifact_sync.store.modes import mode_of
from tests.storage import NOW, contents, stage, transfer

FILES = {"artifacts.zip": b"PK" * 500, "files/bin/run": b"#!", "job.log": b"log"}
#: A group that this user may give: root any, others one of their own.
GID = 54321 if os.geteuid() == 0 else next(iter(set(os.getgroups()) - {os.getegid()}), os.getegid())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """For the whole process, as long as the block lasts."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@asynccontextmanager
async def opened(path: Path, *, mode: int | None = None, group: str | None = None) -> AsyncIterator[LocalStore]:
    """A store with these permissions."""
    async with LocalStore.open(path / "mirror", access=Access.of(mode, group)) as store:
        yield store


async def publish(store: LocalStore, job_id: int, contents: dict[str, bytes] = FILES, *, dest: str = "") -> Path:
    """Publish a job whose files are executable where they lie below ``bin``."""
    files = []
    for index, (name, content) in enumerate(contents.items()):
        file = await stage(store, name, content, f"{job_id}-{index}.part")
        files.append(replace(file, executable="/bin/" in name))
    of = transfer(job_id, dest=dest or f"group/app/{job_id}", names=tuple(contents))
    await store.publish(Publication(transfer=of, files=tuple(files), at=NOW))
    return Path(of.dest)


def modes(root: Path) -> dict[str, str]:
    """Of everything below a directory, by its path."""
    return {
        str(path.relative_to(root)): f"{stat.S_IMODE(path.stat().st_mode):04o}"
        for path in sorted(root.rglob("*"))
        if not path.is_symlink()
    }


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
async def test_modes_are_as_chosen_whatever_the_umask(tmp_path, mask):
    """Files, their folders up to the tree's root, the manifest, the sums, and the objects, which are the same files."""
    with umask(mask):
        async with opened(tmp_path, mode=0o640) as store:
            dest = await publish(store, 1)
            await store.links.point(Link("latest/x"), Linkable(str(dest), transfer(1).job))
    tree = tmp_path / "mirror/tree"
    assert modes(tree) == {
        "group": "0750",
        "group/app": "0750",
        "group/app/1": "0750",
        "group/app/1/.artifact-sync.json": "0640",
        "group/app/1/SHA256SUMS": "0640",
        "group/app/1/artifacts.zip": "0640",
        "group/app/1/files": "0750",
        "group/app/1/files/bin": "0750",
        "group/app/1/files/bin/run": "0750",
        "group/app/1/job.log": "0640",
        "latest": "0750",
    }
    found = modes(tmp_path / "mirror/objects")
    assert {mode for path, mode in found.items() if "/" not in path} == {"0750"}
    assert sorted(mode for path, mode in found.items() if "/" in path) == ["0640", "0640", "0750"]
    for name in ("mirror", "mirror/tree", "mirror/objects"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o750
    for name in (".staging", ".trash", ".quarantine"):
        assert stat.S_IMODE((tmp_path / "mirror" / name).stat().st_mode) == 0o700


async def test_without_a_choice_the_umask_decides(tmp_path):
    """Read-only files, as ever."""
    with umask(0o027):
        async with opened(tmp_path) as store:
            await publish(store, 1)
    found = modes(tmp_path / "mirror/tree")
    assert found["group"] == found["group/app/1/files"] == "0750"
    assert found["group/app/1/job.log"] == found["group/app/1/SHA256SUMS"] == "0440"


async def test_the_group_is_that_of_everything_that_is_visible(tmp_path):
    """By its number, without a name on this system."""
    async with opened(tmp_path, mode=0o640, group=str(GID)) as store:
        dest = await publish(store, 1)
        await store.links.point(Link("links/latest"), Linkable(str(dest), transfer(1).job))
    root = tmp_path / "mirror"
    for place in (root, root / "tree", root / "objects", *(root / "tree").rglob("*"), *(root / "objects").rglob("*")):
        if not place.is_symlink():
            assert place.stat().st_gid == GID, place
    assert stat.S_IMODE((root / "tree/group/app/1/job.log").stat().st_mode) == 0o640


async def test_what_shares_its_bytes_gets_them_too(tmp_path):
    """One file under two names has one mode: the new publication's readers must be able to read it."""
    with umask(0o077):
        async with opened(tmp_path) as store:
            await publish(store, 1)
        old = modes(tmp_path / "mirror/tree")
        async with opened(tmp_path, mode=0o644) as store:
            await publish(store, 2)
    new = modes(tmp_path / "mirror/tree")
    assert old["group/app/1/SHA256SUMS"] == new["group/app/1/SHA256SUMS"] == "0400"
    assert old["group/app/1"] == new["group/app/1"] == "0700"
    assert new["group/app/2"] == new["group"] == new["group/app/2/files/bin/run"] == "0755"
    assert new["group/app/2/artifacts.zip"] == new["group/app/1/artifacts.zip"] == "0644"


async def test_what_is_added_to_a_publication_gets_them(tmp_path):
    """And its folder, or nobody would come to it."""
    with umask(0o077):
        async with opened(tmp_path) as store:
            await publish(store, 1, {"job.log": b"log"})
        async with opened(tmp_path, mode=0o644) as store:
            await publish(store, 1, {"artifacts.zip": b"PK"})
    found = modes(tmp_path / "mirror/tree/group/app")
    assert found["1"] == "0755"
    assert found["1/artifacts.zip"] == found["1/SHA256SUMS"] == found["1/.artifact-sync.json"] == "0644"
    assert found["1/job.log"] == "0400"


async def test_a_folder_that_a_crash_left_half_made_is_completed(tmp_path):
    """Made, but closed to all others still."""
    (tmp_path / "mirror/tree/group/app").mkdir(parents=True)
    (tmp_path / "mirror/tree/group/app").chmod(0o700)
    async with opened(tmp_path, mode=0o644) as store:
        await publish(store, 1)
    assert modes(tmp_path / "mirror/tree/group")["app"] == "0755"


async def test_a_set_group_id_bit_of_a_folder_stays(tmp_path):
    """Somebody set it, for what others make there."""
    (tmp_path / "mirror/tree/group").mkdir(parents=True)
    (tmp_path / "mirror/tree/group").chmod(0o2700)
    async with opened(tmp_path, mode=0o640) as store:
        await publish(store, 1)
    assert modes(tmp_path / "mirror/tree")["group"] == "2750"


def test_where_such_a_bit_may_not_be_set_the_permissions_come_first(tmp_path):
    """As in a service with RestrictSUIDSGID=: the folder is published into without the bit."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o2700)
    code = (
        "import os\n"
        "from artifact_sync.store.modes import Access\n"
        "real = os.fchmod\n"
        "def refusing(fd, mode):\n"
        "    if mode > 0o777:\n"
        "        raise PermissionError(1, 'Operation not permitted')\n"
        "    real(fd, mode)\n"
        "os.fchmod = refusing\n"
        "fd = os.open('folder', os.O_RDONLY)\n"
        "print(Access(mode=0o640).give(fd), Access(mode=0o640).give(fd))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert found.stdout == "True False\n", found
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


async def test_a_folder_of_the_store_that_was_there_is_left_as_it_is(tmp_path):
    """The mount point is the administrator's."""
    (tmp_path / "mirror").mkdir(mode=0o711)
    async with opened(tmp_path, mode=0o640):
        pass
    assert stat.S_IMODE((tmp_path / "mirror").stat().st_mode) == 0o711


@pytest.mark.parametrize("group", ["no-such-group-here", "4294967295"])
def test_a_group_that_is_not_there_is_told_with_a_cure(group):
    """Before anything is opened."""
    with pytest.raises(StoreError, match=f"no group '{group}'") as caught:
        Access.of(0o640, group)
    assert "groupadd" in caught.value.hint


def test_a_group_by_its_name():
    """As the system knows it."""
    known = grp.getgrgid(os.getegid())
    assert Access.of(None, known.gr_name).gid == known.gr_gid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
def test_a_group_that_this_user_may_not_give_is_told_at_the_start(tmp_path):
    """By trying it in the store, whose filesystem has the last word."""
    tmp_path.chmod(0o755)
    (tmp_path / "mirror").mkdir()
    os.chown(tmp_path / "mirror", 65534, 65534)
    code = (
        "import os\n"
        "from artifact_sync.errors import StoreError\n"
        "from artifact_sync.store.disk import Syncer\n"
        "from artifact_sync.store.layout import laid_out\n"
        "from artifact_sync.store.modes import Access\n"
        "from pathlib import Path\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    with laid_out(Path('.'), Syncer(Access.of(0o640, '54321'))):\n"
        "        pass\n"
        "except StoreError as error:\n"
        "    print(error, '|', error.hint)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "mirror", capture_output=True, text=True, check=False, timeout=30
    )
    assert found.stdout.startswith("store.group: this user may not give files to group 54321"), found
    assert "usermod -aG 54321" in found.stdout
    assert list((tmp_path / "mirror/.staging").iterdir()) == []


def test_a_filesystem_without_permissions_is_told_as_one(tmp_path):
    """FAT refuses what its mount options do not have; that is nothing about a group."""
    code = (
        "import os\n"
        "from artifact_sync.errors import StoreError\n"
        "from artifact_sync.store.modes import Access\n"
        "def refusing(fd, mode):\n"
        "    raise PermissionError(1, 'Operation not permitted')\n"
        "os.fchmod = refusing\n"
        "fd = os.open('file', os.O_RDWR | os.O_CREAT, 0o600)\n"
        "try:\n"
        "    Access(mode=0o640).require_granted(fd)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert found.stdout == "store.mode: the store's filesystem keeps no such permissions\n", found


@pytest.mark.parametrize(
    ("mode", "folder", "executable"), [(0o640, 0o750, 0o750), (0o444, 0o755, 0o555), (0o400, 0o700, 0o500)]
)
def test_x_goes_where_r_is(mode, folder, executable):
    """And the owner may always work in a folder."""
    assert Access(mode=mode).folder == folder
    assert mode_of(mode, executable=True) == executable


async def test_an_unpacked_archive_gets_them(tmp_path):
    """Whatever process unpacked it; and what is executable in it is so for those who may read it."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, mode in {"dist/app": 0o755, "dist/data": 0o600}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, name)
    async with opened(tmp_path, mode=0o640, group=str(GID)) as store:
        await stage(store, "artifacts.zip", sink.getvalue(), "7-0.part")
        made = await store.unpack("7-0.part", into="7-content", available=1 << 20)
        assert isinstance(made, Unpacked)
        wanted = Item(kind="archive", name="artifacts.zip", unpack=Unpack.ONLY)
        of = replace(transfer(7, dest="x/7"), items=(wanted,))
        await store.publish(Publication(transfer=of, files=contents(made, "7-content"), at=NOW))
    content = tmp_path / "mirror/tree/x/7/content"
    assert modes(content) == {"dist": "0750", "dist/app": "0750", "dist/data": "0640"}
    assert {path.stat().st_gid for path in (content, *content.rglob("*"))} == {GID}

"""Every archive of the corpus goes through the process that unpacks: all of it comes out, or nothing is left."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from pathlib import Path

import pytest

from artifact_sync.core.paths import encode_path
from artifact_sync.core.unpacking import Rejected, Unpacked, UnpackLimits
from artifact_sync.store.unpack import unpack
from tests.hostile_archives import HOSTILE
from tests.real_archives import LARGE, REAL, RECORDED
from tests.recordings import recordings

PLENTY = 1 << 40


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """Where archives are unpacked, with something of others beside it."""
    (tmp_path / "outside").write_bytes(b"untouched")
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "other.part").write_bytes(b"untouched")
    return folder


def tree(root: Path) -> dict[str, tuple[str, object]]:
    """Everything below a directory: type and mode, and content or target."""
    found: dict[str, tuple[str, object]] = {}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        content: object = None
        if stat.S_ISLNK(mode):
            content = path.readlink()
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found[path.relative_to(root).as_posix()] = (stat.filemode(mode), content)
    return found


async def unpacked(data: bytes, staging: Path, limits: UnpackLimits | None = None) -> Unpacked | Rejected:
    """Unpack into ``staging/x``."""
    archive = staging.parent / "artifacts.zip"
    archive.write_bytes(data)
    return await unpack(archive, staging / "x", available=PLENTY, limits=limits or UnpackLimits())


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_archives_leave_nothing(case, staging):
    """Rule, member and reason come back; no file is left or changed, inside or outside."""
    hostile = HOSTILE[case]
    (staging.parent / "artifacts.zip").write_bytes(hostile.data)
    before = tree(staging.parent)

    verdict = await unpacked(hostile.data, staging, hostile.limits)

    assert isinstance(verdict, Rejected)
    assert (verdict.rule, verdict.member) == (hostile.rule, hostile.member)
    assert hostile.words in verdict.reason
    assert tree(staging.parent) == before


@pytest.mark.parametrize("case", REAL)
async def test_real_archives_are_unpacked_whole(case, staging):
    """Content, modes and directories on disk are the archive's, and the report is what is on disk. No link is made."""
    real = REAL[case]
    verdict = await unpacked(real.data, staging)

    assert isinstance(verdict, Unpacked)
    found = tree(staging / "x")
    files = {path: (kind, content) for path, (kind, content) in found.items() if not kind.startswith("d")}
    modes = {path: "-rwxr-xr-x" if path in real.executable else "-rw-r--r--" for path in real.files}
    assert files == {path: (modes[path], content) for path, content in real.files.items()}
    assert {kind for kind, _ in found.values() if kind.startswith("d")} <= {"drwxr-xr-x"}
    assert real.directories <= set(found)
    assert {file.name: (file.size, file.sha256, file.executable) for file in verdict.files} == {
        path: (len(content), hashlib.sha256(content).hexdigest(), path in real.executable)
        for path, content in real.files.items()
    }
    assert {link.member: link.target for link in verdict.skipped} == real.links
    assert stat.S_IMODE((staging / "x").stat().st_mode) == 0o755


@pytest.mark.parametrize("path", RECORDED)
async def test_recorded_archives_of_gitlab_runner_are_unpacked(path, staging):
    """What real runners wrote comes out as zipfile reads it."""
    data = (recordings() / path).read_bytes()
    verdict = await unpacked(data, staging)

    assert isinstance(verdict, Unpacked)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        links = {info.filename for info in infos if stat.S_ISLNK(info.external_attr >> 16)}
        wanted = {encode_path(info.filename): archive.read(info) for info in infos if info.filename not in links}
    assert {file.name: (staging / "x" / file.name).read_bytes() for file in verdict.files} == wanted
    assert {link.member for link in verdict.skipped} == links


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_an_archive_of_66_000_members_is_unpacked(staging):
    """Zip64, and each of the files durable."""
    verdict = await unpacked(LARGE.data, staging)

    assert isinstance(verdict, Unpacked)
    assert {file.name: (staging / "x" / file.name).read_bytes() for file in verdict.files} == LARGE.files

"""Damaged and forged archives: unpacked as they say themselves, or rejected, and nothing else ever happens."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from artifact_sync.core.paths import encode_path
from artifact_sync.core.unpacking import Rejected, SkippedLink, UnpackLimits
from artifact_sync.errors import ContentError
from artifact_sync.fetch.inflate import prove
from artifact_sync.store.publish import remove
from artifact_sync.store.unpack.extract import carry_out
from artifact_sync.store.unpack.wire import Done, Foreseen, Message, Order, Stored
from tests.hostile_archives import HOSTILE
from tests.real_archives import REAL
from tests.zip_mutations import mutants

#: Large originals would only take time; "Info-ZIP's" needs a program.
ORIGINALS = [
    data
    for data in (
        *(real.data for name, real in REAL.items() if name != "Info-ZIP's"),
        *(hostile.data for hostile in HOSTILE.values()),
    )
    if len(data) < 20_000
]
#: Real ones are accepted; so most mutants begin as one.
POOL = [real.data for name, real in REAL.items() if name != "Info-ZIP's"] * 10 + ORIGINALS
LIMITS = UnpackLimits(total=16 << 20)


def unpacked(data: bytes, folder: Path) -> list[Message]:
    """Every message of the process's own function, run here; files are in ``folder``/x."""
    archive = folder / "artifacts.zip"
    archive.write_bytes(data)
    (folder / "x").mkdir()
    told: list[Message] = []
    source, root = os.open(archive, os.O_RDONLY), os.open(folder / "x", os.O_RDONLY | os.O_DIRECTORY)
    try:
        carry_out(Order(archive=source, root=root, limits=LIMITS, available=1 << 30), told.append, lambda: None)
    finally:
        os.close(source)
        os.close(root)
    return told


def on_disk(root: Path) -> dict[str, bytes]:
    """Every file; there is nothing but files and directories."""
    found = {}
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        if stat.S_ISREG(mode):
            # Private until it is whole.
            assert stat.S_IMODE(mode) in {0o600, 0o644, 0o755}
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def seen_by_zipfile(data: bytes) -> dict[str, bytes] | None:
    """What the standard library finds there; None where it does not read an archive that is in order."""
    with suppress(NotImplementedError, zipfile.BadZipFile, RuntimeError), zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
        # It takes a mode from any system's attributes.
        return {
            encode_path(info.filename): archive.read(info)
            for info in infos
            if not (stat.S_ISLNK(info.external_attr >> 16) and info.create_system in {3, 19})
        }
    return None


def examine(data: bytes, folder: Path) -> str:
    """Unpack one mutant and hold everything against everything; how it ended."""
    *told, last = unpacked(data, folder)
    found = on_disk(folder / "x")
    assert {path.name for path in folder.iterdir()} == {"artifacts.zip", "x"}
    if isinstance(last, Rejected):
        assert last.reason
        return last.rule
    assert isinstance(last, Done)
    planned = [message for message in told if isinstance(message, Foreseen)]
    stored = [message for message in told if isinstance(message, Stored)]
    assert len(planned) == len(stored) == len(found)
    assert sum(map(len, found.values())) <= LIMITS.total
    for wanted, is_there in zip(planned, stored, strict=True):
        content = found["/".join(wanted.path)]
        assert wanted.size == is_there.size == len(content)
        assert is_there.sha256 == hashlib.sha256(content).hexdigest()
    report = prove(io.BytesIO(data), len(data), lambda: False)
    assert report.untested == 0
    links = sum(isinstance(message, SkippedLink) for message in told)
    assert len(found) + links <= report.members
    other = seen_by_zipfile(data)
    assert other in (None, found)
    return "unpacked" if other is None else "unpacked, as zipfile does"


def sweep(folder: Path, *, seed: int, count: int) -> Counter[str]:
    """Examine that many mutants; how often each end was."""
    ends: Counter[str] = Counter()
    at = os.open(folder, os.O_RDONLY)
    try:
        for number, data in enumerate(mutants(POOL, seed=seed, count=count)):
            with suppress(ContentError):
                prove(io.BytesIO(data), len(data), lambda: False)
            try:
                ends[examine(data, folder)] += 1
            except Exception as error:
                error.add_note(f"mutant {number} of seed {seed}, CRC {zlib.crc32(data):08x}")
                raise
            remove("x", at=at)
    finally:
        os.close(at)
    return ends


def test_a_few_hundred_mutants_are_unpacked_or_rejected(tmp_path):
    """Whatever is accepted is on disk as declared, as the download's own check and zipfile see it; the rest has a reason."""
    ends = sweep(tmp_path, seed=0, count=600)

    assert ends.total() == 600
    assert ends["unpacked, as zipfile does"] > 20
    assert len(ends) > 8


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(1, 21))
def test_20_000_mutants_are_unpacked_or_rejected(tmp_path, seed):
    """The same for a thousand of each seed."""
    ends = sweep(tmp_path, seed=seed, count=1000)

    assert ends.total() == 1000
    assert ends["unpacked, as zipfile does"] > 30
    assert len(ends) > 8

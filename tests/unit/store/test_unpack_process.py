"""The process that unpacks: its bounds, its end, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from artifact_sync.core.unpacking import Rejected, Rule, Unpacked, UnpackLimits
from artifact_sync.errors import DoesNotFit, Obstructed, StoreError
from artifact_sync.store.unpack import unpack
from tests.zips import Entry, craft, real_zip, text

MIB = 1 << 20
PLENTY = 1 << 40
#: Large enough that the process is still at work when it has told that it began.
LARGE = 96 * MIB
MANY = {f"{n:05}": b"" for n in range(20_000)}


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """Where archives are unpacked."""
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A stored file of zeros that takes a while to write."""
    path: Path = tmp_path_factory.mktemp("large") / "artifacts.zip"
    path.write_bytes(real_zip({"large": bytes(LARGE)}, compression=0))
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """More members than one second of processor time unpacks."""
    path: Path = tmp_path_factory.mktemp("many") / "artifacts.zip"
    path.write_bytes(real_zip(MANY))
    return path


def archived(staging: Path, *entries: Entry) -> Path:
    """A small archive beside the staging directory."""
    path = staging.parent / "artifacts.zip"
    path.write_bytes(craft(entries or [text("a")]))
    return path


def workers(parent: int) -> Iterator[int]:
    """Processes that unpack for this one."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            command = (entry / "cmdline").read_bytes()
            status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines() if ":\t" in line)
            if int(status["PPid"]) == parent and b"store.unpack.worker" in command and "Z" not in status["State"]:
                yield int(entry.name)


class Frozen:
    """Stops the process at its first word about progress."""

    def __init__(self) -> None:
        self.seen = anyio.Event()
        self.pid = 0

    def __call__(self, _: int) -> None:
        if not self.pid:
            (self.pid,) = workers(os.getpid())
            os.kill(self.pid, signal.SIGSTOP)
            self.seen.set()


async def interrupted(archive: Path, staging: Path, act: Callable[[int], None]) -> Unpacked | Rejected:
    """Unpack; at the first word about progress the process is frozen, ``act`` looks at it, and it goes on."""
    frozen = Frozen()
    verdicts: list[Unpacked | Rejected] = []

    async def work() -> None:
        verdicts.append(await unpack(archive, staging / "x", available=PLENTY, on_progress=frozen))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await frozen.seen.wait()
        try:
            act(frozen.pid)
        finally:
            with suppress(ProcessLookupError):
                os.kill(frozen.pid, signal.SIGCONT)
    return verdicts[0]


async def test_the_process_is_bounded_and_bare(large, staging, monkeypatch):
    """Limits are set, no variable of the daemon is there, and the only files are the archive's and the new directory's."""
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-secret")
    limits: dict[str, list[str]] = {}
    found: dict[str, object] = {}

    def look(pid: int) -> None:
        proc = Path(f"/proc/{pid}")
        for line in (proc / "limits").read_text().splitlines()[1:]:
            limits[line[:25].strip()] = line[25:].split()[:2]
        found["environment"] = (proc / "environ").read_bytes()
        found["session"] = os.getsid(pid)
        links = (str(entry.readlink()) for entry in (proc / "fd").iterdir())
        found["files"] = {link for link in links if not link.startswith(("pipe:", "socket:", "/dev/null"))}

    verdict = await interrupted(large, staging, look)

    assert isinstance(verdict, Unpacked)
    default = UnpackLimits()
    assert limits["Max address space"] == [str(default.memory)] * 2
    assert limits["Max cpu time"][0] == str(default.cpu_time)
    assert limits["Max file size"] == [str(default.total)] * 2
    assert limits["Max open files"] == [str(default.open_files)] * 2
    assert limits["Max core file size"] == ["0", "0"]
    assert found["environment"] == b""
    assert found["session"] != os.getsid(0)
    below = {str(staging / "x"), str(staging / "x" / "large")}
    assert found["files"] == {str(large), *below}


async def test_progress_is_told(large, staging):
    """Packed bytes, growing, up to near the archive's size."""
    told: list[int] = []
    await unpack(large, staging / "x", available=PLENTY, on_progress=told.append)

    assert told == sorted(told)
    assert LARGE - 32 * MIB < told[-1] <= LARGE


@pytest.mark.timeout(20)
async def test_a_cancelled_unpacking_is_killed_and_leaves_nothing(large, staging):
    """Also where the process does not run at all any more."""
    frozen = Frozen()
    async with anyio.create_task_group() as group:

        async def work() -> None:
            await unpack(large, staging / "x", available=PLENTY, on_progress=frozen)

        group.start_soon(work)
        await frozen.seen.wait()
        assert (staging / "x" / "large").exists()
        group.cancel_scope.cancel()

    assert not list(workers(os.getpid()))
    assert not list(staging.iterdir())


async def test_a_killed_process_is_no_verdict_on_the_archive(large, staging):
    """Somebody else's SIGKILL may be tried again; nothing is left."""

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ExceptionGroup) as caught:
        await interrupted(large, staging, kill)

    assert caught.group_contains(StoreError, match="was killed \\(SIGKILL\\)")
    assert not list(staging.iterdir())


async def test_a_crash_is_blamed_on_the_archive(large, staging):
    """What breaks the unpacking once breaks it always."""

    def crash(pid: int) -> None:
        os.kill(pid, signal.SIGSEGV)

    verdict = await interrupted(large, staging, crash)

    assert isinstance(verdict, Rejected)
    assert verdict.rule is Rule.CRASH
    assert not list(staging.iterdir())


DAEMON = """
import anyio, sys
from pathlib import Path
from artifact_sync.store.unpack import unpack

def tell(_):
    print("began", flush=True)
    sys.stdin.read()

async def main():
    await unpack(Path(sys.argv[1]), Path(sys.argv[2]), available=1 << 40, on_progress=tell)

anyio.run(main)
"""


def test_the_process_ends_when_its_daemon_is_killed(large, staging):
    """It must not go on writing where the next daemon works."""
    command = [sys.executable, "-c", DAEMON, str(large), str(staging / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"began\n"
        (worker,) = workers(daemon.pid)
        os.kill(worker, signal.SIGSTOP)
        daemon.kill()
        daemon.wait()
    written = (staging / "x" / "large").stat().st_size
    os.kill(worker, signal.SIGCONT)
    while _runs(worker):
        time.sleep(0.02)

    assert (staging / "x" / "large").stat().st_size <= written + MIB


def _runs(pid: int) -> bool:
    """Whether this process, and not another of its number, is still there."""
    try:
        state = Path(f"/proc/{pid}/status").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return "store.unpack.worker" in command and "State:\tZ" not in state


async def test_too_little_memory_rejects(many, staging):
    """The address space is bounded; what does not fit there is rejected."""
    verdict = await unpack(many, staging / "x", available=PLENTY, limits=UnpackLimits(memory=16 * MIB))

    assert isinstance(verdict, Rejected)
    assert verdict.rule is Rule.MEMORY
    assert not list(staging.iterdir())


async def test_too_little_processor_time_rejects(many, staging):
    """The kernel ends the process, and the reason says so."""
    verdict = await unpack(many, staging / "x", available=PLENTY, limits=UnpackLimits(cpu_time=1))

    assert isinstance(verdict, Rejected)
    assert (verdict.rule, verdict.reason) == (Rule.TIME, "unpacking took more than 1 s of processor time")
    assert not list(staging.iterdir())


async def test_too_little_time_rejects(many, staging):
    """The daemon's clock bounds what the kernel's does not: waiting."""
    verdict = await unpack(many, staging / "x", available=PLENTY, limits=UnpackLimits(wall_time=0.5))

    assert isinstance(verdict, Rejected)
    assert (verdict.rule, verdict.reason) == (Rule.TIME, "it was not unpacked within 0.5 s")
    assert not list(workers(os.getpid()))
    assert not list(staging.iterdir())


async def test_what_does_not_fit_is_not_the_archives_fault(staging):
    """It is unpacked once there is room."""
    archive = archived(staging)

    with pytest.raises(DoesNotFit, match="needs 4096 bytes on disk, 4095 may be used") as caught:
        await unpack(archive, staging / "x", available=4095)

    assert caught.value.hint
    assert not list(staging.iterdir())
    assert isinstance(await unpack(archive, staging / "x", available=4096), Unpacked)


async def test_what_an_earlier_attempt_left_is_removed(staging):
    """A directory, with anything in it, or a link in its place, whose target stays as it is."""
    archive = archived(staging)
    outside = staging.parent / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"untouched")
    (staging / "x" / "old").mkdir(parents=True)
    (staging / "y").symlink_to(outside)

    for name in ("x", "y"):
        assert isinstance(await unpack(archive, staging / name, available=PLENTY), Unpacked)
        assert [path.name for path in (staging / name).iterdir()] == ["a"]
        assert not (staging / name).is_symlink()
    assert (outside / "a").read_bytes() == b"untouched"


async def test_a_missing_archive_or_staging_directory_is_an_error_of_the_store(staging):
    """And no traceback of the operating system's."""
    with pytest.raises(StoreError, match="unpacking none"):
        await unpack(staging / "none", staging / "x", available=PLENTY)
    with pytest.raises(StoreError, match=r"unpacking artifacts\.zip"):
        await unpack(archived(staging), staging / "none" / "x", available=PLENTY)
    assert not list(staging.iterdir())


async def test_an_archive_that_is_a_link_is_not_opened(staging):
    """Nothing is followed in staging."""
    (staging / "link").symlink_to(archived(staging))

    with pytest.raises(Obstructed):
        await unpack(staging / "link", staging / "x", available=PLENTY)


async def test_what_others_do_to_the_directory_is_an_error_of_the_store(staging):
    """The operating system's answer to the process comes out as one of the daemon's own errors; nothing is left."""
    archive = staging.parent / "artifacts.zip"
    archive.write_bytes(real_zip({"large": bytes(LARGE), "d/late": b"late"}, compression=0))

    def remove(_: int) -> None:
        (staging / "x" / "d").rmdir()

    with pytest.raises(ExceptionGroup) as caught:
        await interrupted(archive, staging, remove)

    assert caught.group_contains(StoreError, match=r"unpacking artifacts\.zip: No such file or directory")
    assert not list(staging.iterdir())


async def test_a_file_that_is_there_already_is_never_archived(staging):
    """What appears in the directory while it is unpacked is not taken for its own, nor followed."""
    archive = staging.parent / "artifacts.zip"
    archive.write_bytes(real_zip({"large": bytes(LARGE), "d/late": b"late"}, compression=0))
    (staging.parent / "outside").write_bytes(b"untouched")

    def plant(_: int) -> None:
        (staging / "x" / "d" / "late").symlink_to(staging.parent / "outside")

    with pytest.raises(ExceptionGroup) as caught:
        await interrupted(archive, staging, plant)

    assert caught.group_contains(StoreError, match="File exists")
    assert (staging.parent / "outside").read_bytes() == b"untouched"
    assert not list(staging.iterdir())


async def test_a_directory_that_became_a_link_is_not_followed(staging):
    """Every step of a path is opened without following links."""
    archive = staging.parent / "artifacts.zip"
    archive.write_bytes(real_zip({"large": bytes(LARGE), "d/late": b"late"}, compression=0))
    outside = staging.parent / "outside"
    outside.mkdir()

    def swap(_: int) -> None:
        (staging / "x" / "d").rmdir()
        (staging / "x" / "d").symlink_to(outside)

    with pytest.raises(ExceptionGroup) as caught:
        await interrupted(archive, staging, swap)

    assert caught.group_contains(Obstructed)
    assert not list(outside.iterdir())
    assert not list(staging.iterdir())

"""T10, T11: a disk that is really full, of bytes or of inodes, and one that fails only when it is asked to be durable."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.acceptance.harness import simulated_gitlab
from tests.crash.daemon_process import Place, plain_start
from tests.crash.mounts import ext4_image, mounted, tmpfs
from tests.crash.scene import Scene, configure
from tests.crash.served import everything
from tests.crash.sweeps import Found, manners

__all__ = ["full", "lost_writes"]

_MIB = 1 << 20
_SIZE = 20 * _MIB
_NOTHING = "  - {name: nothing, projects: [acme/app], when: {jobs: [no such job]}}\n"
_ALL = "  - {name: all, projects: [acme/app]}\n"
#: Inodes of a filesystem that is to run out of them: enough for all that is mirrored.
_INODES = 256
#: Seconds within which a running daemon has gone on by itself; it waits for half a minute where the disk is full.
_PATIENCE = 150.0
#: Seconds for which the disk stays full, longer than it waits.
_FULL = 35.0


@contextmanager
def _world(scene: Scene, world: str) -> Iterator[Scene]:
    with simulated_gitlab(world) as gitlab:
        yield replace(scene, gitlab=gitlab, served=everything(gitlab))


@contextmanager
def _disk(folder: Path, kind: str, *, inodes: bool) -> Iterator[Path]:
    """20 MiB, or few inodes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = folder / "disk"
    if kind == "tmpfs":
        with tmpfs(at, options=f"size=64m,nr_inodes={_INODES}" if inodes else f"size={_SIZE}") as disk:
            yield disk
    else:
        options = ("-N", str(_INODES)) if inodes else ()
        image = ext4_image(folder / "disk.image", size=64 * _MIB if inodes else _SIZE, options=options)
        with mounted(image, at, options="noatime") as disk:
            yield disk


def full(scene: Scene, *, passes: int = 10, inode_passes: int = 5, seed: int = 10) -> Found:
    """T10: a full tmpfs and a full ext4 with store and state on it; as much is free as luck leaves; then all is freed."""
    found, luck = Found(), random.Random(seed)
    with _world(scene, "jobs:8:1MiB") as made:
        for kind in ("tmpfs", "ext4"):
            for number in range(passes + inode_passes):
                inodes = number >= passes
                with _disk(made.folder, kind, inodes=inodes) as disk:
                    place = _place(made, disk)
                    # Every other disk fills only after a first start has made what it needs.
                    if number % 2:
                        configure(place, made.gitlab, rules=_NOTHING)
                        assert made.sync(place, kinds=()).code == 0
                        configure(place, made.gitlab, rules=_ALL, transfers=4)
                    left = luck.randint(0, 60) if inodes else luck.randint(0, 7 * _MIB)
                    filler = _fill_inodes(disk, left) if inodes else _fill(disk, left)
                    wrong = _while_full(made, place, found)
                    shutil.rmtree(filler)
                    wrong += made.recovered(place)
                what = "inodes" if inodes else "bytes"
                found.add(f"{kind}, pass {number + 1}, {left} {what} free", wrong)
            with _disk(made.folder, kind, inodes=False) as disk:
                found.add(f"{kind}, a running daemon", _daemon_goes_on(made, _place(made, disk, attempts=8), disk))
    return found


def _place(scene: Scene, disk: Path, *, attempts: int = 1) -> Place:
    place = Place(folder=scene.folder / "at", store=disk / "mirror", state=disk / "state" / "state.db")
    shutil.rmtree(place.folder, ignore_errors=True)
    configure(place, scene.gitlab, rules=_ALL, transfers=4, attempts=attempts)
    return place


def _while_full(scene: Scene, place: Place, found: Found) -> list[str]:
    wrong = []
    for _ in range(2):
        ran = scene.sync(place, kinds=())
        wrong += manners(ran) + scene.auditor(place).look(told=ran.told)
        if ran.code == 0:
            found.note("everything fitted")
        elif "full" in ran.err or "not enough" in ran.err or "No space" in ran.err or "no space" in ran.out:
            found.note("said that the disk is full")
        else:
            wrong.append(f"it did not say that the disk is full: {ran.code}, {ran.err.strip()[-300:]}")
    return wrong


def _fill(disk: Path, left: int, *, name: str = "filler") -> Path:
    """Take all bytes but so many."""
    folder = disk / name
    folder.mkdir()
    status = os.statvfs(disk)
    with (folder / "bytes").open("wb") as file:
        size = status.f_bavail * status.f_frsize - left
        while size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                # Tables of the filesystem itself take some.
                size -= 4 << 10
                file.truncate(0)
            else:
                break
    return folder


def _fill_inodes(disk: Path, left: int) -> Path:
    """Take all inodes but so many."""
    folder = disk / "filler"
    folder.mkdir()
    for number in range(max(0, os.statvfs(disk).f_favail - left)):
        (folder / str(number)).touch()
    return folder


def _daemon_goes_on(scene: Scene, place: Place, disk: Path) -> list[str]:
    """`run` meets the full disk, lives on, and mirrors all by itself once there is space."""
    out, err = place.folder / ".out", place.folder / ".err"
    # So little that nothing more than one or two archives fits.
    filler = _fill(disk, 5 * _MIB)
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = plain_start(scene.installation, "run", "--json", place=place, out=stdout, err=stderr)
        try:
            if not _within(lambda: b'"no space"' in out.read_bytes(), process):
                return [f"the daemon did not say that the disk is full, or ended: {process.poll()}, {_end(err)}"]
            # Not a byte more; it tries on meanwhile, and writes down what became of that.
            rest = _fill(disk, 0, name="rest")
            time.sleep(_FULL)
            if process.poll() is not None:
                return [f"the daemon ended because the disk was full: {process.poll()}, {_end(err)}"]
            for folder in (filler, rest):
                shutil.rmtree(folder)
            wanted = len(scene.served.jobs)
            if not _within(lambda: len(list((place.store / "tree").rglob("artifacts.zip"))) == wanted, process):
                return [f"the daemon did not go on once there was space: {process.poll()}, {_end(err)}"]
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        finally:
            process.kill()
            process.wait()
    return ([f"it ended with {code}: {_end(err)}"] if code else []) + scene.recovered(place)


def _within(done: object, process: subprocess.Popen[bytes]) -> bool:
    assert callable(done)
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up and process.poll() is None:
        if done():
            return True
        time.sleep(0.1)
    return False


def _end(path: Path) -> str:
    return path.read_text(errors="replace").strip()[-400:]


def lost_writes(scene: Scene, *, sizes: tuple[int, ...] = (24, 32, 40)) -> Found:
    """T11: the device under the store's filesystem takes less than it has promised, so that writes succeed and fsync fails.

    The state lies on a disk that works. What was published must be there after the filesystem was mounted anew.
    """
    found = Found()
    with _world(scene, "jobs:10:6MiB") as made:
        for size in sizes:
            shutil.rmtree(made.folder, ignore_errors=True)
            made.folder.mkdir(parents=True)
            with tmpfs(made.folder / "device", options=f"size={size}m") as device:
                image = ext4_image(device / "image", size=160 * _MIB)
                place = Place.below(made.folder / "at")
                with ExitStack() as stack:
                    disk = stack.enter_context(mounted(image, made.folder / "before"))
                    place = Place(folder=place.folder, store=disk / "mirror", state=place.state)
                    configure(place, made.gitlab, rules=_ALL, transfers=2)
                    ran = made.sync(place, kinds=())
                    wrong = manners(ran) + made.auditor(place).look(told=ran.told)
                    if ran.code == 0:
                        wrong.append("no write failed: this proves nothing")
                subprocess.run(["mount", "-o", "remount,size=400m", device], check=True)
                # As after a restart of the machine: what was not written is gone, and the filesystem is checked.
                subprocess.run(["e2fsck", "-p", "-f", image], check=False, capture_output=True)
                with mounted(image, made.folder / "after") as disk:
                    place = replace(place, store=disk / "mirror")
                    configure(place, made.gitlab, rules=_ALL, transfers=4)
                    wrong += made.auditor(place).look(told=ran.told)
                    found.note("published before it failed", len(ran.told))
                    wrong += made.recovered(place)
            found.add(f"a device of {size} MiB under 160", wrong)
    return found

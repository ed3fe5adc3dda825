"""Filesystems to be filled, failed and cut off: images on loop devices, and tmpfs. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["copied", "ext4_image", "mounted", "refusal", "require_tools", "tmpfs"]

#: Nothing is written because of its age alone, and a rename does not make anything durable as a side effect (ext4(5)):
#: what reaches the disk was asked to.
_STRICT = "commit=600,noauto_da_alloc"
_TOOLS = {"mkfs.ext4": "e2fsprogs", "losetup": "mount", "mount": "mount", "umount": "mount"}


def refusal() -> str:
    """Why nothing can be mounted here; empty where it can."""
    if os.geteuid() != 0:
        return "mounting filesystems needs root"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices here (/dev/loop-control)"
    return ""


def require_tools() -> str:
    """Install what is missing, and say so; why it cannot be had, or nothing."""
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if not missing:
        return ""
    print(f"Installing {', '.join(missing)} by apt-get", flush=True)  # noqa: T201 - the laboratory talks to a person
    try:
        subprocess.run(["apt-get", "install", "-qq", "--yes", *missing], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{', '.join(missing)} could not be installed: {error}"
    return ""


def ext4_image(path: Path, *, size: int, options: tuple[str, ...] = ()) -> Path:
    """A new image of so many bytes with an empty filesystem, its tables written out."""
    with path.open("xb") as file:
        file.truncate(size)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", lazy, *options, path], check=True, capture_output=True)
    return path


def copied(image: Path, to: Path) -> Path:
    """The image as it is now, holes left out. Of a mounted one: what has reached the device."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)
    return to


@contextmanager
def mounted(image: Path, at: Path, *, options: str = _STRICT) -> Iterator[Path]:
    """Mount the image in a new folder; unmounted behind it, and the folder removed, or the run fails here."""
    at.mkdir(parents=True)
    subprocess.run(["mount", "-o", f"loop,{options}", image, at], check=True, capture_output=True)
    with _unmounted(at):
        yield at


@contextmanager
def tmpfs(at: Path, *, options: str) -> Iterator[Path]:
    """A filesystem in memory in a new folder, with bounds."""
    at.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], check=True, capture_output=True)
    with _unmounted(at):
        yield at


@contextmanager
def _unmounted(at: Path) -> Iterator[None]:
    with ExitStack() as stack:
        stack.callback(at.rmdir)
        stack.callback(lambda: subprocess.run(["umount", at], check=True))
        yield

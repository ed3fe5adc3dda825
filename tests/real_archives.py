"""Zip archives as honest programs write them, with what they must unpack to."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.zips import Entry, craft, real_zip, text

UTF8, DESCRIPTOR = 0x800, 8
LINK, DIRECTORY = 0o120777, 0o40755


@dataclass(frozen=True)
class Real:
    """One archive. ``files`` are contents by path as they must be on disk, ``directories`` those without files."""

    make: Callable[[], bytes]
    files: Mapping[str, bytes] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()
    #: Target by member.
    links: Mapping[str, str] = field(default_factory=dict)
    directories: frozenset[str] = frozenset()

    @property
    def data(self) -> bytes:
        """Made once; skips where the program or the recording is not here."""
        return _made(self.make)


@cache
def _made(make: Callable[[], bytes]) -> bytes:
    return make()


def _times() -> bytes:
    """The extra fields of GitLab Runner: owner and modification time."""
    owner = struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, 0, 4, 0)
    return owner + struct.pack("<HHBI", 0x5455, 5, 1, 1_700_000_000)


def _runner(name: str, content: bytes = b"", mode: int = 0o100644) -> Entry:
    """As Go's archive/zip writes for GitLab Runner: descriptors, UTF-8 names, links stored."""
    is_dir = mode == DIRECTORY
    return Entry(
        name=name.encode(),
        content=content,
        mode=mode,
        method=8 if stat.S_ISREG(mode) else 0,
        flags=(0 if is_dir else DESCRIPTOR) | (0 if name.isascii() else UTF8),
        extra=_times(),
        local_extra=_times(),
    )


def _runner_archive() -> bytes:
    return craft(
        [
            _runner("./", mode=DIRECTORY),
            _runner("public/", mode=DIRECTORY),
            _runner("public/index.html", b"<html>" * 5000),
            _runner("public/latest", b"v1.2", LINK),
            _runner("public/v1.2/", mode=DIRECTORY),
            _runner("public/v1.2/caf\u00e9.txt", b"au lait"),
            _runner("bin/tool", b"\x7fELF" + bytes(3000), 0o100755),
            _runner("bin/suid", b"\x7fELF", 0o104755),
            _runner("empty", b""),
            _runner("logs/", mode=DIRECTORY),
        ]
    )


_AWKWARD = {
    "a:b": "a%3Ab",
    "end.": "end%2E",
    "NUL.txt": "%4EUL.txt",
    "line\nbreak": "line%0Abreak",
    "\x1b[31mred": "%1B[31mred",
    "\u202egpj.exe": "%E2%80%AEgpj.exe",
    "cafe\u0301": "cafe%CC%81",
    "back\\slash": "back%5Cslash",
    ".hidden/-rf": "%2Ehidden/%2Drf",
    "100%": "100%25",
    "..x/a..b": "%2E.x/a..b",
    "SHA256SUMS": "SHA256SUMS",
    "x" * 200: "x" * 200,
    "q?*<>|\"'$;": "q%3F%2A%3C%3E%7C%22%27%24%3B",
}


def _info_zip() -> bytes:
    """What Info-ZIP makes of a folder."""
    program = shutil.which("zip")
    if program is None:
        pytest.skip("zip is not installed here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "job"
        (folder / "sub" / "empty").mkdir(parents=True)
        (folder / "sub" / "tool.sh").write_bytes(b"#!/bin/sh\n" * 100)
        (folder / "sub" / "tool.sh").chmod(0o755)
        (folder / "notes.txt").write_bytes(b"notes\n")
        (folder / "notes.txt").chmod(0o644)
        (folder / "link").symlink_to("sub/tool.sh")
        archive = Path(name) / "out.zip"
        subprocess.run(
            [program, "-q", "-r", "-y", "-z", str(archive), "."],
            cwd=folder,
            check=True,
            input=b"a comment\n",
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )
        return archive.read_bytes()


MANY = 66_000

PLAIN = {"a.txt": b"alpha" * 1000, "d/b.bin": bytes(range(256)) * 9, "d/e/f": b"", "z": b"last"}
_PLAIN_WITH_DIRECTORIES = {
    "d/": b"",
    "a.txt": PLAIN["a.txt"],
    "d/b.bin": PLAIN["d/b.bin"],
    "d/e/": b"",
    "d/e/f": b"",
    "z": b"last",
}

REAL = {
    "GitLab Runner's": Real(
        _runner_archive,
        files={
            "public/index.html": b"<html>" * 5000,
            "public/v1.2/caf%C3%A9.txt": b"au lait",
            "bin/tool": b"\x7fELF" + bytes(3000),
            "bin/suid": b"\x7fELF",
            "empty": b"",
        },
        executable=frozenset({"bin/tool", "bin/suid"}),
        links={"public/latest": "v1.2"},
        directories=frozenset({"logs"}),
    ),
    "stored": Real(lambda: real_zip(PLAIN, compression=zipfile.ZIP_STORED), files=PLAIN),
    "deflated": Real(lambda: real_zip(_PLAIN_WITH_DIRECTORIES, comment=b"a comment"), files=PLAIN),
    "with descriptors": Real(lambda: real_zip(PLAIN, descriptors=True), files=PLAIN),
    "with zip64 fields": Real(lambda: real_zip(PLAIN, force_zip64=True), files=PLAIN),
    "zip64 throughout": Real(
        lambda: craft([text("a", b"alpha", zip64=True), text("b", b"", zip64=True)], zip64=True),
        files={"a": b"alpha", "b": b""},
    ),
    "empty": Real(lambda: real_zip({})),
    "from macOS": Real(
        lambda: craft([text("run", b"x", made_by=19, mode=0o100700), text("link", b"run", made_by=19, mode=LINK)]),
        files={"run": b"x"},
        executable=frozenset({"run"}),
        links={"link": "run"},
    ),
    "from MS-DOS": Real(
        lambda: craft([text("d/", b"", made_by=0), Entry(name=b"d/\x82", content=b"x", made_by=0, mode=0o100755)]),
        files={"d/%C3%A9": b"x"},
    ),
    "in another order": Real(
        lambda: craft([text(name, content) for name, content in PLAIN.items()], reverse=True), files=PLAIN
    ),
    "awkward names": Real(
        lambda: craft([Entry(name=name.encode(), content=name.encode(), flags=UTF8) for name in _AWKWARD]),
        files={path: name.encode() for name, path in _AWKWARD.items()},
    ),
    "Info-ZIP's": Real(
        _info_zip,
        files={"sub/tool.sh": b"#!/bin/sh\n" * 100, "notes.txt": b"notes\n"},
        executable=frozenset({"sub/tool.sh"}),
        links={"link": "sub/tool.sh"},
        directories=frozenset({"sub/empty"}),
    ),
}

#: What GitLab Runner wrote, in the folder of recordings.
RECORDED = (
    "narkoz-gitlab/job_artifacts.zip",
    "runner-zip/gl.zip",
    "gitlab-artifacts-server/job_163312005_artifacts.zip",
)

#: More members than an end record without zip64 can count.
LARGE = Real(
    lambda: real_zip({f"{n % 100}/{n}": b"%d" % n for n in range(MANY)}),
    files={f"{n % 100}/{n}": b"%d" % n for n in range(MANY)},
)

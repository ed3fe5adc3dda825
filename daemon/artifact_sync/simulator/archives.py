"""Archives as GitLab Runner writes them: a zip streamed to a pipe, so every member has a data descriptor.

Source: gitlab-runner, commands/helpers/archive/ziplegacy (Go's archive/zip: directories stored without data, symlinks
as members whose content is the target, Unix modes, UT extra field).
"""

from __future__ import annotations

import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, cast

from artifact_sync.simulator.content import Content, Sink

__all__ = ["Archive", "big", "many", "raw", "small"]

_WHEN = (2024, 10, 4, 8, 35, 0)
_BLOCK = 1 << 20
#: Owner 0:0 (ux) and the modification time in UTC (UT), as the runner writes them.
_EXTRA = struct.pack("<2sHBBIBI", b"ux", 11, 1, 4, 0, 4, 0) + struct.pack("<2sHBi", b"UT", 5, 1, 1_728_030_900)
#: From this size on an archive lies on disk.
_ON_DISK = 8 << 20


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    chunks: Iterable[bytes]
    size: int
    mode: int = stat.S_IFREG | 0o644
    method: int = zipfile.ZIP_DEFLATED


class Archive:
    """An archive that is built when somebody first looks at it, and then stays the same."""

    __slots__ = ("_content", "_make")

    def __init__(self, make: Callable[[], Content]) -> None:
        self._make = make
        self._content: Content | None = None

    @property
    def content(self) -> Content:
        """The stored bytes."""
        if self._content is None:
            self._content = self._make()
        return self._content


def raw(data: bytes) -> Archive:
    """Exactly these bytes, whether they are a zip or not."""
    return Archive(lambda: Content.of(data))


def small(seed: object, files: Mapping[str, bytes] | None = None, *, size: int = 2048) -> Archive:
    """Several members: ``files``, or by default a program of ``size`` bytes, texts, a directory and a symlink."""
    return Archive(lambda: _build(list(_members(seed, files, size)), on_disk=size >= _ON_DISK))


def big(size: int, *, seed: object = 0, deflated: bool = False) -> Archive:
    """An archive of exactly ``size`` bytes when stored (below 4 GiB); when deflated, of ``size`` bytes of content.

    Its content does not compress, so that a deflated one is about as large. Raises ValueError when ``size`` is too
    small to hold a zip.
    """

    def make() -> Content:
        method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
        overhead = 0 if deflated else _build([_noise(seed, 1, method)], on_disk=False).size - 1
        if size < overhead:
            raise ValueError(f"an archive of {size} bytes cannot be; the least is {overhead}")
        return _build([_noise(seed, size - overhead, method)], on_disk=size >= _ON_DISK)

    return Archive(make)


def many(count: int, size: int, *, seed: object = 0) -> Archive:
    """``count`` stored files ``part-042/7.bin``, ten to a folder, whose content is ``size`` bytes in all."""

    def make() -> Content:
        each = size // count
        members = (
            _Member(
                f"part-{number // 10:03}/{number % 10}.bin",
                _blocks(f"{seed} {number}", each),
                each,
                method=zipfile.ZIP_STORED,
            )
            for number in range(count)
        )
        return _build(members, on_disk=size >= _ON_DISK)

    return Archive(make)


def _noise(seed: object, size: int, method: int) -> _Member:
    return _Member("data/payload.bin", _blocks(seed, size), size, method=method)


def _blocks(seed: object, size: int) -> Iterator[bytes]:
    # One random block whose first bytes count up: as incompressible as noise, and made a hundred times faster.
    block = random.Random(f"archive {seed}").randbytes(min(_BLOCK, size))
    for number in range((size + _BLOCK - 1) // _BLOCK):
        part = number.to_bytes(8, "big") + block[8:]
        yield part[: min(_BLOCK, size - number * _BLOCK)]


def _members(seed: object, files: Mapping[str, bytes] | None, size: int) -> Iterator[_Member]:
    if files is not None:
        for name, data in files.items():
            yield _Member(name, [data], len(data))
        return
    noise = random.Random(f"members {seed}")
    program = noise.randbytes(size)
    log = "".join(f"test {number} of {seed}: ok\n" for number in range(20)).encode()
    yield _Member("dist/", [], 0, stat.S_IFDIR | 0o755, zipfile.ZIP_STORED)
    yield _Member("dist/app", [program], len(program), stat.S_IFREG | 0o755)
    yield _Member("dist/latest", [b"app"], 3, stat.S_IFLNK | 0o777, zipfile.ZIP_STORED)
    yield _Member("reports/", [], 0, stat.S_IFDIR | 0o755, zipfile.ZIP_STORED)
    yield _Member("reports/test log.txt", [log], len(log))
    yield _Member("VERSION", [f"{seed}\n".encode()], len(f"{seed}\n".encode()))
    yield _Member("empty.txt", [], 0)


def _build(members: Iterable[_Member], *, on_disk: bool) -> Content:
    def write(sink: Sink) -> None:
        with zipfile.ZipFile(cast("IO[bytes]", sink), "w") as archive:
            for member in members:
                _add(archive, member)

    return Content.written(write, on_disk=on_disk)


def _add(archive: zipfile.ZipFile, member: _Member) -> None:
    info = zipfile.ZipInfo(member.name, _WHEN)
    info.create_system = 3  # Unix
    info.external_attr = member.mode << 16
    info.compress_type = member.method
    info.extra = _EXTRA
    if info.is_dir():
        info.external_attr |= 0x10  # MS-DOS directory
        archive.writestr(info, b"")
        return
    info.file_size = member.size  # lets zipfile choose zip64 where it is needed
    with archive.open(info, "w") as file:
        for chunk in member.chunks:
            file.write(chunk)

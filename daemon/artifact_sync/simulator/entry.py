"""Looking into an archive, as Workhorse's gitlab-zip-cat does."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from artifact_sync.simulator.content import Content

__all__ = ["entries", "entry", "file_etag"]

_INVALID_PATH = re.compile(r"^\.?\.?/|/\.?\.?/")


def entry(archive: Content, path: str) -> bytes | None:
    """A member's bytes; None where there is no such file. A directory is no file."""
    with _opened(archive) as opened:
        try:
            return None if path.endswith("/") else opened.read(path)
        except KeyError:
            return None


def file_etag(archive: Content, path: str) -> str:
    """``"sha256(archive_sha256:path)"`` (lib/api/ci/job_artifacts.rb, ``artifact_etag``)."""
    return f'"{hashlib.sha256(f"{archive.sha256}:{path}".encode()).hexdigest()}"'


def entries(archive: Content, path: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Rows of ``artifacts/tree`` below ``path``, one level unless ``recursive``.

    A directory's path ends in a slash, and it has no size; modes are six octal digits
    (https://docs.gitlab.com/api/job_artifacts/#list-all-files-in-the-artifacts-archive). What it is made from leaves out
    paths that climb or have empty components (lib/gitlab/ci/build/artifacts/metadata.rb, ``INVALID_PATH_PATTERN``).
    """
    base = path.strip("/")
    base = f"{base}/" if base else ""
    rows: dict[str, dict[str, Any]] = {}
    with _opened(archive) as opened:
        for info in opened.infolist():
            rest = info.filename.removeprefix(base).rstrip("/")
            if not info.filename.startswith(base) or not rest or _INVALID_PATH.search(info.filename):
                continue
            mode = info.external_attr >> 16
            if "/" in rest and not recursive:
                rest = rest.partition("/")[0]
                rows.setdefault(rest, _row(base + rest, "directory", 0, stat.S_IFDIR | 0o755))
                continue
            kind = "directory" if info.is_dir() else "file"
            rows.setdefault(rest, _row(base + rest, kind, info.file_size, mode))
    return list(rows.values())


def _row(path: str, kind: str, size: int, mode: int) -> dict[str, Any]:
    row: dict[str, Any] = {"name": path.rpartition("/")[2], "path": path, "type": kind, "mode": f"{mode:06o}"}
    return row | ({"size": size} if kind == "file" else {"path": f"{path}/"})


@contextmanager
def _opened(archive: Content) -> Iterator[zipfile.ZipFile]:
    # ZipFile does not close a file that it was given.
    with archive.file() or io.BytesIO(archive.data or b"") as file, zipfile.ZipFile(file) as opened:
        yield opened

"""Every manifest below the tree, read with suspicion: somebody may have put anything there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.ports.rebuilding import FoundPublication, Strange
from artifact_sync.store import manifest as manifests
from artifact_sync.store.disk import is_damage
from artifact_sync.store.layout import Layout
from artifact_sync.store.manifest import Manifest
from artifact_sync.store.paths import MANIFEST, components, directory
from artifact_sync.store.reading import read_file, stands

__all__ = ["holds_something", "survey"]

#: Bytes. A manifest has some 700 for each file, and an archive no more than 100,000 of them.
_LARGEST = 256 << 20
#: Folders in folders; deeper than any template leads.
_DEEPEST = 256
_MOST = 2**63 - 1

_Parts = tuple[str, ...]


def holds_something(store: Path) -> bool:
    """Whether anything is published there, as far as this user may look. Makes nothing, and needs no lock."""
    return next((store / "tree").rglob(MANIFEST), None) is not None


def survey(layout: Layout) -> Iterator[FoundPublication | Strange]:
    """In no particular order. No link is followed, and nothing is changed. Raises OSError where the disk is damaged."""
    ahead: list[_Parts] = [()]
    while ahead:
        parts = ahead.pop()
        try:
            with directory(layout.tree, parts) as at:
                with os.scandir(at) as entries:
                    found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
                if any(name == MANIFEST for name, _ in found):
                    yield _publication(layout, parts, at)
        except OSError as error:
            if is_damage(error):
                raise
            yield _strange(parts, f"it cannot be looked into: {error.strerror}")
            continue
        below = [(*parts, name) for name, is_dir in found if is_dir]
        if below and len(parts) >= _DEEPEST:
            yield _strange(parts, f"folders lie more than {_DEEPEST} deep")
        else:
            ahead += below


def _publication(layout: Layout, parts: _Parts, at: int) -> FoundPublication | Strange:
    dest = "/".join(parts)
    try:
        size = os.stat(MANIFEST, dir_fd=at, follow_symlinks=False).st_size
        if size > _LARGEST:
            return _strange(parts, f"its manifest has {size} bytes, more than any")
        content = read_file(MANIFEST, at=at) or b""
        manifest = manifests.parse(content, where=MANIFEST)
        _require_sound(manifest, dest)
        files = _files(manifest)
        for file in files:
            components(file.name, what="file")
        whole = stands(layout, dest, files)
    except OSError as error:
        if is_damage(error):
            raise
        return _strange(parts, f"its manifest cannot be read: {error.strerror}")
    except RecursionError:
        return _strange(parts, "its manifest is nested too deep")
    except (Corrupt, StoreError) as error:
        return _strange(parts, str(error))
    return FoundPublication(
        transfer=manifest.transfer,
        files=files,
        manifest_sha256=sha256(content).hexdigest(),
        published_at=manifest.published_at,
        whole=whole,
    )


def _require_sound(manifest: Manifest, dest: str) -> None:
    transfer = manifest.transfer
    components(dest, what="destination")
    if transfer.dest != dest:
        raise Corrupt(f"its manifest is of {transfer.dest}: it was copied or moved here")
    if (transfer.project_id, transfer.job.id) != (manifest.project.id, manifest.job.id):
        raise Corrupt("its manifest names two jobs")
    names = [file.name for file in manifest.files]
    if len(names) != len(set(names)):
        raise Corrupt("its manifest names a file twice")
    numbers = [transfer.project_id, transfer.priority, *(file.size for file in manifest.files)]
    if transfer.project_id < 1 or not all(-_MOST <= number <= _MOST for number in numbers):
        raise Corrupt("its manifest has a number that cannot be")


def _files(manifest: Manifest) -> tuple[StagedFile, ...]:
    """As the state had them, those included that are not visible."""
    unpacked = {entry.name: entry.contents for entry in manifest.unpacked}
    shown = [entry.staged() for entry in manifest.files]
    hidden = [
        StagedFile(
            name=entry.name,
            part="",
            sha256=entry.sha256,
            size=entry.size,
            etag=entry.etag,
            source=entry.source,
            published=False,
        )
        for entry in manifest.unpacked
        if not entry.published
    ]
    return tuple(
        replace(file, contents=unpacked.get(file.name), provenance=manifest.provenance.get(file.name))
        for file in (*shown, *hidden)
    )


def _strange(parts: _Parts, reason: str) -> Strange:
    path = "/".join(parts)
    return Strange(path=path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), reason=reason)

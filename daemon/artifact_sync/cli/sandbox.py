"""The folder of a demo: nobody loses anything in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from artifact_sync.cli.holder import holder
from artifact_sync.errors import UsageError

__all__ = ["MARKER", "prepare", "refuse"]

#: Says that everything in the folder was made by a demo. Its content is the configuration that the demo used.
MARKER = "demo.yaml"
_HEAD = "# Made by `artifact-sync demo`, which starts this folder afresh when it finds this line.\n"
_OURS = frozenset(
    {MARKER, ".id", "tree", "objects", ".staging", ".trash", ".quarantine", ".lock"}
    | {f"demo.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".ballast")}
)


def prepare(folder: Path, configuration: str) -> Path:
    """An empty folder with the marker; an earlier demo's content is removed. Returns the marker, a configuration file.

    Raises:
        UsageError: the folder holds anything that no demo made.
    """
    if folder.exists():
        _empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    marker.write_text(_HEAD + configuration)
    return marker


def refuse(store: Path) -> None:
    """Raise UsageError for a store in a demo's folder, which the next demo empties."""
    if _is_ours(store / MARKER):
        raise UsageError(
            f"{store} is the folder of a demo, and the next demo empties it", hint="Name another folder for the store."
        )


def _is_ours(marker: Path) -> bool:
    try:
        with marker.open(errors="replace") as file:
            return file.readline() == _HEAD
    except OSError:
        return False


def _empty(folder: Path) -> None:
    hint = "Name a folder that does not exist yet: artifact-sync demo --into another-folder"
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", hint=hint)
    entries = {entry.name: entry for entry in folder.iterdir()}
    if not entries:
        return
    marker = entries.get(MARKER)
    if marker is None or not _is_ours(marker):
        raise UsageError(f"{folder} is not empty, and no demo made what is in it", hint=hint)
    if strange := sorted(entries.keys() - _OURS):
        raise UsageError(f"{folder} holds {', '.join(strange[:5])}, which no demo made", hint=hint)
    if who := holder(folder / ".lock"):
        raise UsageError(f"{folder} is in use by {who}", hint="Wait for its end, or name another folder with --into.")
    # The marker goes last: a removal that was interrupted is taken up again.
    for name in sorted(entries.keys() - {MARKER}):
        entry = entries[name]
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    marker.unlink()

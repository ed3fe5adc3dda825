"""A process that moves a publication into the trash, or back, and is disturbed. Not a test module."""

from pathlib import Path
from typing import Any

from artifact_sync.core.model import StagedFile
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.layout import laid_out
from artifact_sync.store.trash import Trash
from tests.unit.store import faults


class Order(faults.Order, frozen=True, kw_only=True):
    """What to do."""

    dest: str
    files: tuple[StagedFile, ...]
    back: bool


def _move(trash: Trash, order: Order) -> None:
    with disk_errors("moving"):
        if order.back:
            trash.give_back(order.dest, "t")
        else:
            trash.take(order.dest, order.files, "t")


def carry_out(order: Order) -> dict[str, Any]:
    """Move once; what came of it."""
    sync = Syncer()
    with laid_out(Path(order.store), sync) as layout:
        trash = Trash(layout=layout, sync=sync)
        return faults.disturbed(order, lambda: _move(trash, order))


if __name__ == "__main__":
    faults.serve(Order, carry_out)

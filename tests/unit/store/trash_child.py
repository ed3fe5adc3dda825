"""A process that moves a publication into the trash, or back, and is stopped or fails at a chosen call of the operating system.

One order a line, as the publishing child takes them. Not a test module.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from artifact_sync.core.model import StagedFile
from artifact_sync.errors import ArtifactSyncError
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.layout import laid_out
from artifact_sync.store.trash import Trash
from tests.unit.store.publish_child import CALLS, Fault


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and how it is disturbed."""

    store: str
    dest: str
    files: tuple[StagedFile, ...]
    back: bool
    at: int = 0
    how: str = "trace"
    sticky: bool = False
    links: bool = True


def serve_one(order: Order) -> dict[str, Any]:
    """Move once; what came of it."""
    sync = Syncer()
    with laid_out(Path(order.store), sync) as layout:
        trash = Trash(layout=layout, sync=sync)
        fault = Fault(order)  # type: ignore[arg-type]  # it has all that is asked of an order
        for name in CALLS:
            fault.wrap(name)
        try:
            with disk_errors("moving"):
                if order.back:
                    trash.give_back(order.dest, "t")
                else:
                    trash.take(order.dest, order.files, "t")
        except ArtifactSyncError as error:
            result = type(error).__name__
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
            result = f"untyped {error!r}"
        else:
            result = "done"
        fault.armed = False
    return {"result": result, "calls": fault.count}


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.write(writing, json.dumps(serve_one(order)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            answer = stream.read()
        _, status = os.waitpid(pid, 0)
        killed = os.waitstatus_to_exitcode(status) == 137
        sys.stdout.buffer.write((b'{"result":"killed","calls":0}' if killed else answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

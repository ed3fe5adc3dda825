"""``python -m artifact_sync.simulator``: a simulated GitLab as a process of its own.

One JSON line on standard output says when it is ready: ``url``, ``storage_url``, ``token``, ``project``.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from pathlib import Path

import anyio
import msgspec

from artifact_sync.simulator.expected import expected
from artifact_sync.simulator.living import LivingWorld
from artifact_sync.simulator.server import serve
from artifact_sync.simulator.shelf import lay_out
from artifact_sync.simulator.tokens import TOKEN, SimToken
from artifact_sync.simulator.world import Delivery, World
from artifact_sync.simulator.worlds import PROJECT, by_name


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m artifact_sync.simulator", description="A simulated GitLab.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of GitLab; 0 takes a free one")
    parser.add_argument("--storage-port", type=int, default=0, help="of its object store")
    parser.add_argument("--external-url", help="the address that links name, with a proxy in front of it")
    parser.add_argument(
        "--storage-url", help="the address that redirects name, with another server as the object store"
    )
    parser.add_argument("--storage-folder", type=Path, help="also write the archives there, as files for that server")
    parser.add_argument(
        "--world", default="demo", help="jobs:N[:SIZE], big:SIZE, files:N:SIZE, listed:N, reports:N or demo"
    )
    parser.add_argument("--delivery", type=Delivery, choices=list(Delivery), default=Delivery.LOCAL)
    parser.add_argument("--reports", action="store_true", help="give out reports, as late versions of 19 do")
    parser.add_argument("--seed", default="0", help="the same seed gives the same archives")
    parser.add_argument("--token", default=os.environ.get("GITLAB_TOKEN") or TOKEN, help="default: $GITLAB_TOKEN")
    parser.add_argument("--ready-file", type=Path, help="also write the JSON line there")
    parser.add_argument("--narrate", action="store_true", help="write what happens, a JSON line each")
    options = parser.parse_args()
    # A million jobs are built to stay: the collector would walk through all of them again and again, now and later.
    gc.disable()
    try:
        world, living = by_name(options.world, seed=options.seed)
    except ValueError as wrong:
        parser.error(str(wrong))
    world.delivery = options.delivery
    world.token = options.token
    world.report_downloads = options.reports
    world.add_token(SimToken(value=options.token))
    world.external_url = options.external_url
    expected(world)  # builds the archives now, so that no request waits for them
    if options.storage_folder is not None:
        lay_out(world, options.storage_folder)
    gc.freeze()
    gc.enable()
    if living is not None and options.narrate:
        living.on_tell(lambda event, facts: _line({"event": event, **facts}))
    anyio.run(_serve, world, living, options)


async def _serve(world: World, living: LivingWorld | None, options: argparse.Namespace) -> None:
    async with serve(world, host=options.host, port=options.port, storage_port=options.storage_port) as running:
        world.storage_url = options.storage_url or running.storage_url
        ready = {
            "url": running.url,
            "storage_url": world.storage_url,
            "token": world.token,
            "project": PROJECT,
            "pid": os.getpid(),
        }
        # Signals first: whoever reads the line may send one at once.
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                if living is not None:
                    tasks.start_soon(living.run)
                if options.ready_file is not None:
                    await _ready(anyio.Path(options.ready_file), ready)
                _line(ready)
                async for _ in signals:
                    tasks.cancel_scope.cancel()


async def _ready(path: anyio.Path, ready: dict[str, object]) -> None:
    # Renamed into place, so that nobody reads half of it.
    draft = path.with_name(f"{path.name}.draft")
    await draft.write_bytes(msgspec.json.encode(ready))
    await draft.rename(path)


def _line(data: object) -> None:
    sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

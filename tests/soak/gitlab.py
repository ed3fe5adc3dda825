"""A living GitLab that fails in every way all the time, as a process of its own; SIGUSR1 calms it.

It writes two JSON lines: when it is ready, and when it was calmed, with what a mirror must hold and how often each fault struck.
"""

from __future__ import annotations

import argparse
import json
import signal

import anyio

from artifact_sync.simulator import LivingWorld, SimToken, World, serve
from artifact_sync.simulator.faults import (
    Action,
    Answer,
    Cut,
    Fault,
    Hangup,
    OtherETag,
    Stall,
    Truncate,
    WrongRange,
)
from artifact_sync.simulator.world import Delivery

_JOBS_OF_A_PIPELINE = 4
#: Few downloads break off where they can go on; of the answers for the rest, more are spoiled.
_OF_RANGES = 20
#: Every class, what it does, and what it can strike.
CHAOS: dict[str, Action] = {
    "500": Answer(status=500),
    "502": Answer(status=502),
    "503": Answer(status=503),
    # Whoever is told to wait waits with everything, and then there is nothing to soak.
    "429": Answer(status=429, headers={"Retry-After": "0"}),
    "reset": Hangup(reset=True),
    "stall": Stall(seconds=6),
    "truncated": Truncate(after=1500),
    # With RST, what came before might never be read, and then there is nothing to go on from.
    "cut": Cut(after=1500, reset=False),
    "wrong range": WrongRange(shift=7),
    "ETag changed": OtherETag(),
}


def chaotic(world: World, share: float) -> dict[str, list[Fault]]:
    """Everything, in GitLab's answers to reads and in the object store's; what spoils ranges strikes answers to ranges alone."""
    found: dict[str, list[Fault]] = {}
    for name, action in CHAOS.items():
        ranged = isinstance(action, WrongRange | OtherETag)
        places = ["storage"] if isinstance(action, Truncate | Cut | WrongRange | OtherETag) else ["gitlab", "storage"]
        found[name] = [
            world.faults.add(
                Fault(
                    action=action,
                    method="GET",
                    origin="storage" if place == "storage" else "gitlab",
                    times=None,
                    probability=share * _OF_RANGES if ranged else share,
                    ranged=ranged,
                )
            )
            for place in places
        ]
    return found


def main() -> None:
    """Live until SIGUSR1, and serve on until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=20, help="jobs a second")
    parser.add_argument("--share", type=float, default=0.03, help="of requests that each fault strikes")
    parser.add_argument("--projects", type=int, default=5)
    options = parser.parse_args()
    world = World(seed="soak")
    world.delivery = Delivery.REDIRECT
    world.add_token(SimToken(value=world.token))
    for number in range(options.projects):
        world.add_project(f"acme/app-{number}")
    faults = chaotic(world, options.share)
    living = LivingWorld(world, seed="soak", rate=options.rate * 60 / _JOBS_OF_A_PIPELINE)
    anyio.run(_serve, world, living, faults)


async def _serve(world: World, living: LivingWorld, faults: dict[str, list[Fault]]) -> None:
    async with serve(world) as running:
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(living.run)
                _line({"url": running.url, "token": world.token})
                async for number in signals:
                    tasks.cancel_scope.cancel()
                    if number is signal.SIGTERM:
                        return
                    break
            world.faults.clear()
            _line({"faults": {name: _count(each) for name, each in faults.items()}, **_held(world)})
            async for _ in signals:
                return


def _count(faults: list[Fault]) -> int:
    return sum(fault.fired for fault in faults)


def _held(world: World) -> dict[str, object]:
    """sha256 by the ids of the jobs that succeeded with an archive, and how many jobs ended at all."""
    archives = {
        job.id: job.spec.archive.content.sha256
        for job in world.jobs.values()
        if job.status == "success" and job.uploaded and job.spec.archive is not None and not job.retried
    }
    return {"archives": archives, "jobs": sum(job.finished_at is not None for job in world.jobs.values())}


def _line(data: object) -> None:
    print(json.dumps(data), flush=True)


if __name__ == "__main__":
    main()

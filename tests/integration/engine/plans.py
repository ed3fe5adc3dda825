"""What the next pass of a rig would do."""

from __future__ import annotations

from artifact_sync.engine import Planned, planned
from artifact_sync.simulator import SimJob, SimProject
from tests.integration.engine.engine_harness import Rig


async def plan_of(daemon: Rig, project: SimProject, *, known: bool = True) -> list[Planned]:
    """Every transfer of the next pass; ``known`` false: as for a mirror that is not there yet."""
    pages = planned(
        await daemon.remote.project(project.id),
        remote=daemon.remote,
        state=daemon.state if known else None,
        clock=daemon.clock,
        rules=daemon.rules,
        policy=daemon.policy,
    )
    return [entry async for entry in pages]


async def missing(daemon: Rig, job: SimJob) -> list[str]:
    """The items that it would fetch of the job."""
    return [item.name for plan in await plan_of(daemon, job.project) for item in plan.missing]


async def take_up(daemon: Rig, job: SimJob) -> None:
    """What a listing that shows the job again does, under the rules of this process."""
    found = [plan.transfer for plan in await plan_of(daemon, job.project)]
    await daemon.state.want(found=found, keeps=(), now=daemon.clock.now())

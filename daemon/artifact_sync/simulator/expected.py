"""What a mirror of a world must hold in the end."""

from __future__ import annotations

from artifact_sync.simulator.world import World

__all__ = ["expected"]


def expected(world: World) -> dict[int, str]:
    """sha256 (hex) of every archive that was uploaded, by job id, whether or not it was removed since."""
    return {
        job.id: job.spec.archive.content.sha256
        for job in world.jobs.values()
        if job.uploaded and job.spec.archive is not None
    }

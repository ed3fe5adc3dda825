"""How a pipeline's status follows from its jobs."""

from __future__ import annotations

from datetime import datetime

from artifact_sync.simulator.state import FINISHED, SimJob, SimPipeline

__all__ = ["settle", "status_of"]


def status_of(jobs: list[SimJob]) -> str:
    """The status that these jobs (without superseded ones) give their pipeline.

    lib/gitlab/ci/status/composite.rb: a failure that is allowed counts as success, and so does an optional manual job.
    """
    states = {_seen(job) for job in jobs if not job.retried}
    for state in ("running", "pending", "created", "scheduled", "failed", "canceled"):
        if state in states:
            busy = state in {"pending", "created"} and bool(states & FINISHED)
            return "running" if busy else state
    return "success" if "success" in states or not states else "skipped"


def settle(pipeline: SimPipeline, now: datetime) -> None:
    """Give the pipeline the status of its jobs.

    ``updated_at`` moves only when the status does: a job that ends while others run leaves no mark on its pipeline
    (app/services/ci/pipeline_processing/atomic_processing_service.rb, ``update_pipeline!``), and neither do keep, erase
    and trace archiving.
    """
    status = status_of(pipeline.jobs)
    if status == pipeline.status:
        return
    pipeline.status = status
    pipeline.updated_at = now
    if status == "running" and pipeline.started_at is None:
        pipeline.started_at = now
    pipeline.finished_at = now if status in FINISHED else None


def _seen(job: SimJob) -> str:
    if job.status == "manual":
        # Optional unless its configuration says otherwise.
        return "skipped"
    if job.status == "failed" and job.spec.allow_failure:
        return "success"
    return "running" if job.status == "canceling" else job.status

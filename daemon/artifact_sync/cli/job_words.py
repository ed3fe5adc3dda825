"""Jobs of GitLab in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from artifact_sync.cli.standing import remote_words
from artifact_sync.cli.words import moment, size, span
from artifact_sync.core.job_detail import AllowedAgents, JobDetail, TriggerDetail
from artifact_sync.core.model import Job, TreeEntry

__all__ = ["agent_lines", "entry_line", "job_line", "job_lines", "name_of", "trigger_line"]


def name_of(job: Job) -> str:
    """``v1.0.0 package #1234``."""
    return f"{job.ref} {job.name} #{job.id}"


def job_line(job: JobDetail) -> str:
    """A job in one line: when, how it stands, which one, what it has."""
    when = moment(job.finished_at or job.started_at or job.created_at)
    archive = f"  {size(job.archive.size)}" if job.archive else ""
    return f"{when:<23}  {job.status:<10}  {name_of(job)}  {job.stage}{archive}"


def trigger_line(job: TriggerDetail) -> str:
    """A trigger job, and what it started."""
    down = job.downstream_pipeline
    started = f"pipeline {down.id} of project {down.project_id} ({down.status})" if down else "nothing yet"
    return f"{moment(job.created_at):<23}  {job.status:<10}  {job.name} #{job.id}  started {started}"


def entry_line(entry: TreeEntry) -> str:
    """A file or folder of an archive."""
    return f"{'' if entry.is_dir else size(entry.size):>10}  {entry.name}"


def job_lines(job: JobDetail, now: datetime) -> Iterator[str]:
    """Everything that is shown of a job."""
    yield f"{name_of(job)}: {job.status}{_why(job)}"
    if job.web_url:
        yield f"  {job.web_url}"
    pipeline = job.pipeline
    if pipeline is not None:
        yield f"  pipeline:  {pipeline.id}, {pipeline.status}, by {job.pipeline_source or 'unknown'}, of {job.sha[:12]}"
    yield f"  stage:     {job.stage}" + (f", on {', '.join(job.tag_list)}" if job.tag_list else "")
    yield f"  times:     {', '.join(_times(job))}"
    if job.user is not None:
        yield f"  user:      {job.user.username}"
    if job.runner is not None:
        yield f"  runner:    {job.runner.description or job.runner.id}"
    yield f"  gitlab:    {remote_words(job, now)}"
    others = [
        f"{a.file_type} {size(a.size)}" for a in job.artifacts or () if a.file_type not in {"archive", "metadata"}
    ]
    if others:
        yield f"  beside:    {', '.join(others)}"
    if job.archived:
        yield "  archived:  it is too old to be retried, played, canceled or erased"


def agent_lines(agents: AllowedAgents) -> Iterator[str]:
    """What a job token opens."""
    roles = ", ".join(agents.user.roles_in_project or ()) or "no role"
    yield f"  project:   {agents.project.id}, where {agents.user.username} has {roles}"
    named = [
        f"{agent.id} of {agent.config_project.path_with_namespace if agent.config_project else 'unknown'}"
        for agent in agents.allowed_agents or ()
    ]
    yield f"  agents:    {', '.join(named) or 'none'}"


def _why(job: JobDetail) -> str:
    return f" ({job.failure_reason})" if job.failure_reason else ""


def _times(job: JobDetail) -> Iterator[str]:
    for name in ("created", "started", "finished", "erased"):
        when: datetime | None = getattr(job, f"{name}_at")
        if when is not None:
            yield f"{name} {moment(when)}"
    if job.duration is not None:
        yield f"ran {span(job.duration)}"
    if job.queued_duration is not None:
        yield f"waited {span(job.queued_duration)}"

"""What GitLab tells of jobs beyond what rules need, for those who operate them, as frozen values.

Field meanings: https://docs.gitlab.com/api/jobs/
"""

from __future__ import annotations

from msgspec import Struct

from artifact_sync.core.model import Flag, Id, Instant, Job, Names, Text, TriggerJob

__all__ = ["AllowedAgents", "JobDetail", "TriggerDetail"]


class _Person(Struct, frozen=True, kw_only=True):
    id: Id | None = None
    username: str = ""
    name: str | None = None
    #: GET /job/allowed_agents alone.
    roles_in_project: tuple[str, ...] | None = None


class _Runner(Struct, frozen=True, kw_only=True):
    id: Id | None = None
    description: str | None = None


class JobDetail(Job, frozen=True, kw_only=True):
    """A job with everything that is shown of it. Durations are seconds."""

    coverage: float | None = None
    duration: float | None = None
    queued_duration: float | None = None
    #: Older than the instance's archiving of jobs: it cannot be retried or erased any more.
    archived: Flag = False
    tag_list: Names = ()
    user: _Person | None = None
    runner: _Runner | None = None


class TriggerDetail(TriggerJob, frozen=True, kw_only=True):
    """A trigger job with everything that is shown of it."""

    stage: Text = ""
    ref: Text = ""
    tag: Flag = False
    allow_failure: Flag = False
    created_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: float | None = None
    web_url: Text = ""


class _Named(Struct, frozen=True, kw_only=True):
    id: Id


class _ConfigProject(Struct, frozen=True, kw_only=True):
    id: Id | None = None
    path_with_namespace: str = ""


class _Agent(Struct, frozen=True, kw_only=True):
    id: Id
    config_project: _ConfigProject | None = None


class _Project(Struct, frozen=True, kw_only=True):
    id: Id
    groups: tuple[_Named, ...] | None = ()


class _Environment(Struct, frozen=True, kw_only=True):
    tier: str | None = None
    slug: str | None = None


class AllowedAgents(Struct, frozen=True, kw_only=True):
    """GET /job/allowed_agents: the job of a job token, and the agents for Kubernetes that it may use."""

    allowed_agents: tuple[_Agent, ...] | None = ()
    job: _Named
    pipeline: _Named
    project: _Project
    user: _Person
    environment: _Environment | None = None

"""The JSON of jobs, pipelines and projects, with their oddities."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from artifact_sync.simulator.expiry import expired
from artifact_sync.simulator.reports import report_format, report_name
from artifact_sync.simulator.state import SimJob, SimPipeline, SimProject
from artifact_sync.simulator.world import World

__all__ = [
    "artifact_rows",
    "bridge",
    "job",
    "pipeline",
    "pipeline_basic",
    "pipeline_listed",
    "project",
    "stamp",
    "user",
]

Json = dict[str, Any]

_METADATA_SIZE = 186


def stamp(when: datetime | None) -> str | None:
    """A time as GitLab writes it: milliseconds, Z."""
    return None if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def user(world: World, *, user_id: int = 1, username: str = "mirror-bot") -> Json:
    """lib/api/entities/user_basic.rb."""
    return {
        "id": user_id,
        "username": username,
        "public_email": "",
        "name": "Mirror Bot",
        "state": "active",
        "locked": False,
        "avatar_url": f"{_base(world)}/uploads/-/system/user/avatar/{user_id}/avatar.png",
        "web_url": f"{_base(world)}/{username}",
    }


def artifact_rows(world: World, job: SimJob) -> list[Json]:
    """``artifacts[]``: rows that exist, expired or not; real servers give the trace a null format.

    The trace appears some minutes after the end (app/workers/ci/build_finished_worker.rb, ``ARCHIVE_TRACES_IN``).
    """
    rows: list[Json] = []
    if (archive := job.archive) is not None:
        rows.append(_row("archive", archive.size, "artifacts.zip", "zip"))
        rows.append(_row("metadata", _METADATA_SIZE, "metadata.gz", "gzip"))
    rows += [_row(kind, len(job.report(kind)), report_name(kind), report_format(kind)) for kind in job.reports]
    if job.trace and job.finished_at and job.finished_at + world.trace_archived_after <= world.clock.now():
        rows.append(_row("trace", len(job.trace), "job.log", None))
    return rows


def job(world: World, job: SimJob) -> Json:
    """lib/api/entities/ci/job.rb, 18.x.

    ``failure_reason`` is there for failed jobs only, ``artifacts_file`` only while ``artifacts?`` holds (an archive
    that has not expired); ``artifacts[]`` does not care about the expiry, and there is no ``retried``.
    """
    found = _job_basic(world, job)
    archive = job.archive
    if archive is not None and not expired(job, world.clock.now()):
        found["artifacts_file"] = {"filename": "artifacts.zip", "size": archive.size}
    started = job.started_at is not None
    return found | {
        "artifacts": artifact_rows(world, job),
        "runner": _RUNNER if started else None,
        "runner_manager": _RUNNER_MANAGER if started else None,
        "artifacts_expire_at": stamp(job.expire_at),
        "archived": job.archived,
        "tag_list": list(job.spec.tag_list),
    }


def bridge(world: World, job: SimJob) -> Json:
    """lib/api/entities/ci/bridge.rb: the downstream pipeline may be null, or belong to another project."""
    down = job.downstream
    return _job_basic(world, job) | {"downstream_pipeline": pipeline_basic(world, down) if down else None}


def pipeline_basic(world: World, pipeline: SimPipeline) -> Json:
    """lib/api/entities/ci/pipeline_basic.rb."""
    return {
        "id": pipeline.id,
        "iid": pipeline.iid,
        "project_id": pipeline.project.id,
        "sha": pipeline.sha,
        "ref": pipeline.ref,
        "status": pipeline.status,
        "source": pipeline.source,
        "created_at": stamp(pipeline.created_at),
        "updated_at": stamp(pipeline.updated_at),
        "web_url": f"{_base(world)}/{pipeline.project.path}/-/pipelines/{pipeline.id}",
    }


def pipeline_listed(world: World, pipeline: SimPipeline) -> Json:
    """As in the list: no ``finished_at``."""
    return pipeline_basic(world, pipeline) | {"name": pipeline.name}


def pipeline(world: World, pipeline: SimPipeline) -> Json:
    """lib/api/entities/ci/pipeline.rb."""
    ended = pipeline.finished_at
    status = pipeline.status
    return pipeline_listed(world, pipeline) | {
        "before_sha": "0" * 40,
        "tag": pipeline.tag,
        "yaml_errors": None,
        "user": user(world),
        "started_at": stamp(pipeline.started_at),
        "finished_at": stamp(ended),
        "committed_at": None,
        "duration": int((ended - pipeline.created_at).total_seconds()) if ended else None,
        "queued_duration": 1,
        "coverage": None,
        "archived": False,
        "detailed_status": {
            "icon": f"status_{status}",
            "text": status.capitalize(),
            "label": status,
            "group": status,
            "tooltip": status,
            "has_details": True,
            "details_path": f"/{pipeline.project.path}/-/pipelines/{pipeline.id}",
            "illustration": None,
            "favicon": f"/assets/ci_favicons/favicon_status_{status}.png",
        },
    }


def project(world: World, project: SimProject) -> Json:
    """lib/api/entities/project.rb, the fields that matter here."""
    base, name, space = _base(world), project.path.rpartition("/")[2], project.namespace
    group = world.groups[space]
    return {
        "id": project.id,
        "description": None,
        "name": name,
        "name_with_namespace": project.path.replace("/", " / "),
        "path": name,
        "path_with_namespace": project.path,
        "created_at": stamp(project.created_at),
        "default_branch": project.default_branch,
        "tag_list": [],
        "topics": [],
        "ssh_url_to_repo": f"git@gitlab.example.com:{project.path}.git",
        "http_url_to_repo": f"{base}/{project.path}.git",
        "web_url": f"{base}/{project.path}",
        "readme_url": None,
        "forks_count": 0,
        "avatar_url": None,
        "star_count": 0,
        # Pushes and merge requests move it; schedules, API pipelines and job ends do not (app/models/event.rb).
        "last_activity_at": stamp(project.last_activity_at or project.created_at),
        "visibility": "public" if project.public else "private",
        "namespace": {
            "id": group.id,
            "name": space.rpartition("/")[2],
            "path": space.rpartition("/")[2],
            "kind": "group",
            "full_path": space,
            "parent_id": None,
            "avatar_url": None,
            "web_url": f"{base}/groups/{space}",
        },
        "archived": project.archived,
        "jobs_enabled": project.builds_enabled,
        "builds_access_level": "enabled" if project.builds_enabled else "disabled",
        "keep_latest_artifact": project.keep_latest,
        "ci_job_token_scope_enabled": False,
    }


def _job_basic(world: World, job: SimJob) -> Json:
    start, end = job.started_at, job.finished_at
    found: Json = {
        "id": job.id,
        "status": job.status,
        "stage": job.spec.stage,
        "name": job.name,
        "ref": job.pipeline.ref,
        "tag": job.pipeline.tag,
        "coverage": None,
        "allow_failure": job.spec.allow_failure,
        "created_at": stamp(job.created_at),
        "started_at": stamp(start),
        "finished_at": stamp(end),
        "erased_at": stamp(job.erased_at),
        "duration": (end - start).total_seconds() if start and end else None,
        "queued_duration": (start - job.created_at).total_seconds() if start else None,
        "user": user(world) | {"created_at": "2020-01-01T00:00:00.000Z", "bio": "", "location": None},
        "commit": _commit(world, job.pipeline),
        "pipeline": pipeline_basic(world, job.pipeline),
        "web_url": f"{_base(world)}/{job.project.path}/-/jobs/{job.id}",
        "project": {"ci_job_token_scope_enabled": False},
        "source": job.pipeline.source,
    }
    if job.status == "failed":
        found["failure_reason"] = job.failure_reason
    return found


def _commit(world: World, pipeline: SimPipeline) -> Json:
    when = stamp(pipeline.created_at)
    return {
        "id": pipeline.sha,
        "short_id": pipeline.sha[:8],
        "created_at": when,
        "parent_ids": ["0" * 40],
        "title": f"Change {pipeline.iid}",
        "message": f"Change {pipeline.iid}\n",
        "author_name": "A. Developer",
        "author_email": "developer@example.com",
        "authored_date": when,
        "committer_name": "A. Developer",
        "committer_email": "developer@example.com",
        "committed_date": when,
        "trailers": {},
        "extended_trailers": {},
        "web_url": f"{_base(world)}/{pipeline.project.path}/-/commit/{pipeline.sha}",
    }


def _row(file_type: str, size: int, filename: str, file_format: str | None) -> Json:
    return {"file_type": file_type, "size": size, "filename": filename, "file_format": file_format}


def _base(world: World) -> str:
    return world.external_url or world.url


_RUNNER: Json = {
    "id": 7,
    "description": "simulated-runner",
    "ip_address": None,
    "active": True,
    "paused": False,
    "is_shared": True,
    "runner_type": "instance_type",
    "name": "gitlab-runner",
    "online": True,
    "created_at": "2024-01-01T00:00:00.000Z",
    "status": "online",
}
_RUNNER_MANAGER: Json = {
    "id": 70,
    "system_id": "s_simulated",
    "version": "18.11.0",
    "revision": "4e963fe2",
    "platform": "linux",
    "architecture": "amd64",
    "created_at": "2024-01-01T00:00:00.000Z",
    "contacted_at": "2024-01-01T00:00:00.000Z",
    "ip_address": None,
    "status": "online",
}

"""Mirrored jobs and projects in GitLab's JSON (lib/api/entities/ci/job.rb, job_basic.rb, pipeline_basic.rb).

What a mirror does not know is null where GitLab's documentation has a value that may be null, and else left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from artifact_sync.core.model import Artifact, Job, Pipeline
from artifact_sync.core.published_files import served_types
from artifact_sync.ports.catalogue import MirroredJob, MirroredProject

__all__ = ["job", "project", "stamp"]

Json = dict[str, Any]


def stamp(when: datetime | None) -> str | None:
    """A time as GitLab writes it: UTC, milliseconds, Z."""
    return None if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def project(mirrored: MirroredProject, gitlab: str) -> Json:
    """What a mirror knows of a project."""
    namespace, _, name = mirrored.path.rpartition("/")
    return {
        "id": mirrored.id,
        "description": None,
        "name": name,
        "name_with_namespace": mirrored.path.replace("/", " / "),
        "path": name,
        "path_with_namespace": mirrored.path,
        "default_branch": None,
        "web_url": f"{gitlab}/{mirrored.path}",
        "namespace": {"full_path": namespace, "path": namespace.rpartition("/")[2]},
    }


def job(mirrored: MirroredJob) -> Json:
    """The job as it was reported, with those of its artifacts that are served here.

    ``artifacts_file`` is there while the archive is, whatever its expiry in GitLab.
    """
    told = mirrored.job
    served = served_types([copy.transfer for copy in mirrored.copies])
    artifacts = [row for row in told.artifacts or () if row.file_type in served]
    archive = next((row for row in artifacts if row.file_type == "archive"), None)
    found: Json = {
        "id": told.id,
        "status": told.status,
        "stage": told.stage,
        "name": told.name,
        "ref": told.ref,
        "tag": told.tag,
        "coverage": None,
        "allow_failure": told.allow_failure,
        "created_at": stamp(told.created_at),
        "started_at": stamp(told.started_at),
        "finished_at": stamp(told.finished_at),
        "erased_at": stamp(told.erased_at),
        "duration": _duration(told),
        "queued_duration": None,
        "user": None,
        "commit": _commit(told),
        "pipeline": _pipeline(told.pipeline, mirrored.project_id) if told.pipeline else None,
        "web_url": told.web_url,
        "source": told.pipeline_source,
        "artifacts": [_artifact(row) for row in artifacts],
        "runner": None,
        "runner_manager": None,
        "artifacts_expire_at": None if mirrored.pinned else stamp(told.artifacts_expire_at),
    }
    if told.failure_reason is not None:
        found["failure_reason"] = told.failure_reason
    if archive is not None:
        found["artifacts_file"] = {"filename": archive.filename or "artifacts.zip", "size": archive.size}
    return found


def _duration(told: Job) -> float | None:
    if told.started_at is None or told.finished_at is None:
        return None
    return (told.finished_at - told.started_at).total_seconds()


def _commit(told: Job) -> Json | None:
    if told.commit is None:
        return None
    return {"id": told.commit.id, "short_id": told.commit.short_id, "title": told.commit.title}


def _pipeline(told: Pipeline, project_id: int) -> Json:
    return {
        "id": told.id,
        "iid": told.iid,
        "project_id": told.project_id or project_id,
        "sha": told.sha,
        "ref": told.ref,
        "status": told.status,
        "source": told.source,
        "created_at": stamp(told.created_at),
        "updated_at": stamp(told.updated_at),
        "web_url": told.web_url,
    }


def _artifact(row: Artifact) -> Json:
    return {
        "file_type": row.file_type,
        "size": row.size,
        "filename": row.filename,
        "file_format": row.file_format,
    }

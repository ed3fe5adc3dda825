"""The JSON of webhooks: Job and Pipeline events, with their oddities."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from artifact_sync.simulator.state import SimJob, SimPipeline, SimProject

__all__ = ["job_event", "pipeline_event"]

Json = dict[str, Any]
_NO_SHA = "0" * 40
_USER = {"id": 1, "name": "Mirror Bot", "username": "mirror-bot", "avatar_url": None, "email": "[REDACTED]"}


def job_event(job: SimJob, *, base: str) -> Json:
    """lib/gitlab/data_builder/build.rb: kind ``build``, nothing about artifacts, and ``commit.id`` is the pipeline's.

    ``build_failure_reason`` is never null: it is ``unknown_failure`` for whatever did not fail.
    """
    pipeline = job.pipeline
    return {
        "object_kind": "build",
        "ref": pipeline.ref,
        "tag": pipeline.tag,
        "before_sha": _NO_SHA,
        "sha": pipeline.sha,
        "retries_count": 0,
        "build_id": job.id,
        "build_name": job.name,
        "build_stage": job.spec.stage,
        "build_status": job.status,
        "build_created_at": _time(job.created_at),
        "build_started_at": _time(job.started_at),
        "build_finished_at": _time(job.finished_at),
        "build_duration": _seconds(job.started_at, job.finished_at),
        "build_queued_duration": _seconds(job.created_at, job.started_at),
        "build_allow_failure": job.spec.allow_failure,
        "build_failure_reason": job.failure_reason or "unknown_failure",
        "pipeline_id": pipeline.id,
        "runner": None,
        "project_id": job.project.id,
        "project_name": job.project.path.replace("/", " / "),
        "user": _USER,
        "commit": {
            "id": pipeline.id,
            "name": pipeline.name,
            "sha": pipeline.sha,
            "message": "A change\n",
            "author_name": "Mirror Bot",
            "status": pipeline.status,
            "duration": _seconds(pipeline.started_at, pipeline.finished_at),
            "started_at": _time(pipeline.started_at),
            "finished_at": _time(pipeline.finished_at),
        },
        "repository": {"name": _name(job.project), "homepage": f"{base}/{job.project.path}", "visibility_level": 0},
        "project": _project(job.project, base),
        "environment": None,
    }


def pipeline_event(pipeline: SimPipeline, *, base: str) -> Json:
    """lib/gitlab/data_builder/pipeline.rb: of superseded jobs nothing, and of artifacts the archive's name and size."""
    found: Json = {
        "object_kind": "pipeline",
        "object_attributes": {
            "id": pipeline.id,
            "iid": pipeline.iid,
            "name": pipeline.name,
            "ref": pipeline.ref,
            "tag": pipeline.tag,
            "sha": pipeline.sha,
            "before_sha": _NO_SHA,
            "source": pipeline.source,
            "status": pipeline.status,
            "detailed_status": pipeline.status,
            "stages": list(dict.fromkeys(job.spec.stage for job in pipeline.jobs)),
            "created_at": _time(pipeline.created_at),
            "finished_at": _time(pipeline.finished_at),
            "duration": _seconds(pipeline.started_at, pipeline.finished_at),
            "queued_duration": None,
            "variables": [],
            "url": f"{base}/{pipeline.project.path}/-/pipelines/{pipeline.id}",
        },
        "merge_request": None,
        "user": _USER,
        "project": _project(pipeline.project, base),
        "commit": {"id": pipeline.sha, "message": "A change\n", "author": {"name": "Mirror Bot"}},
        "builds": [_build(job) for job in pipeline.jobs if not job.retried and not job.spec.bridge],
    }
    if (parent := pipeline.parent) is not None:
        bridge = next((job.id for job in parent.jobs if job.downstream is pipeline), None)
        source = {"id": parent.project.id, "path_with_namespace": parent.project.path}
        found["source_pipeline"] = {"project": source, "job_id": bridge, "pipeline_id": parent.id}
    return found


def _build(job: SimJob) -> Json:
    archive = job.archive
    return {
        "id": job.id,
        "stage": job.spec.stage,
        "name": job.name,
        "status": job.status,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "duration": _seconds(job.started_at, job.finished_at),
        "queued_duration": _seconds(job.created_at, job.started_at),
        "failure_reason": job.failure_reason,
        "when": job.spec.when,
        "manual": job.spec.when == "manual",
        "allow_failure": job.spec.allow_failure,
        "user": _USER,
        "runner": None,
        "artifacts_file": {
            "filename": "artifacts.zip" if archive else None,
            "size": archive.size if archive else None,
        },
        "environment": None,
    }


def _project(project: SimProject, base: str) -> Json:
    return {
        "id": project.id,
        "name": _name(project),
        "description": None,
        "web_url": f"{base}/{project.path}",
        "avatar_url": None,
        "namespace": project.namespace,
        "visibility_level": 0,
        "path_with_namespace": project.path,
        "default_branch": project.default_branch,
        "ci_config_path": None,
    }


def _name(project: SimProject) -> str:
    return project.path.rpartition("/")[2]


def _time(when: datetime | None) -> str | None:
    """As webhooks have it, which is not how the API writes it: Ruby's ``Time#to_s`` in UTC."""
    return None if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else (end - begin).total_seconds()

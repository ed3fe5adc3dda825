"""What real GitLabs answered, over eight years and eight projects' recordings, parses."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from artifact_sync.core.model import Job, Pipeline, Project
from tests.recordings import recordings

JOBS = [
    "cern-gitlab/job_32216368_list.json",
    "doc-examples/list_project_jobs.json",
    "gitlab-artifacts-server/pipeline_48040583_jobs.json",
    "gitlab4j/job.json",
    "glab/ci_get-1.json",
    "narkoz-gitlab/job.json",
    "narkoz-gitlab/jobs.json",
    "narkoz-gitlab/pipeline_jobs.json",
]
PIPELINES = [
    "cern-gitlab/pipelines.json",
    "gitlab-artifacts-server/pipelines_success.json",
    "gitlab4j/pipeline.json",
    "glab/ciList.json",
    "glab/ci_get-0.json",
    "narkoz-gitlab/pipeline.json",
    "narkoz-gitlab/pipelines.json",
]


def _objects(path: Path) -> list[dict[str, Any]]:
    data = msgspec.json.decode(path.read_bytes())
    return data if isinstance(data, list) else [data]


@pytest.mark.parametrize("name", JOBS)
def test_every_recorded_job_parses(name: str) -> None:
    """Jobs of servers from 9.x to 17.x keep id, name, status, times and artifacts."""
    for recorded in _objects(recordings() / name):
        job = msgspec.convert(recorded, Job)
        assert (job.id, job.name, job.status) == (recorded["id"], recorded["name"], recorded["status"])
        listed = recorded.get("artifacts") or []
        assert [a.file_type for a in job.artifacts or ()] == [a["file_type"] for a in listed]
        for moment in (job.created_at, job.finished_at, job.artifacts_expire_at):
            assert moment is None or moment.utcoffset() is not None


@pytest.mark.parametrize("name", PIPELINES)
def test_every_recorded_pipeline_parses(name: str) -> None:
    """Pipelines parse with and without iid, project_id and source."""
    for recorded in _objects(recordings() / name):
        pipeline = msgspec.convert(recorded, Pipeline)
        assert (pipeline.id, pipeline.ref, pipeline.status) == (recorded["id"], recorded["ref"], recorded["status"])


def test_bridges_parse_as_jobs_with_their_downstream_pipeline() -> None:
    """Trigger jobs share the form of jobs; what they started is a pipeline, maybe of another project."""
    for folder in ("narkoz-gitlab/pipeline_bridges.json", "doc-examples/list_pipeline_bridges.json"):
        for recorded in _objects(recordings() / folder):
            assert msgspec.convert(recorded, Job).id == recorded["id"]
            assert (
                msgspec.convert(recorded["downstream_pipeline"], Pipeline).id == recorded["downstream_pipeline"]["id"]
            )


def test_a_report_is_no_archive() -> None:
    """A job of 17.10 lists a coverage report alone, with an expiry, and no archive (its excerpt lacks name and status)."""
    (recorded,) = _objects(recordings() / "gitlab-com-2025" / "job_9251826755_tail.json")
    job = msgspec.convert({"name": "unit", "status": "success", **recorded}, Job)
    assert job.archive is None
    assert job.artifacts_expire_at is not None


def test_a_large_archive_with_an_offset_in_its_times() -> None:
    """The archive of 1.3 GB of an instance that writes its own offset, expiring a day after its end."""
    job = msgspec.convert(_objects(recordings() / "cern-gitlab" / "job_32216368_list.json")[0], Job)
    assert job.archive is not None
    assert job.archive.size == 1_381_606_499
    assert job.finished_at is not None
    assert job.artifacts_expire_at is not None
    assert (job.artifacts_expire_at - job.finished_at).days in {0, 1}


def test_a_time_without_offset_is_refused() -> None:
    """A naive time would be read in the wrong zone, so it is an error of that object."""
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.convert({"id": 1, "name": "a", "status": "success", "created_at": "2024-01-01T00:00:00"}, Job)


def test_unknown_fields_statuses_and_types_are_tolerated() -> None:
    """A newer server's words are kept as they are, and count as unfinished."""
    job = msgspec.convert(
        {"id": 1, "name": "a", "status": "dreaming", "artifacts": [{"file_type": "hologram", "size": 1}], "new": {}},
        Job,
    )
    assert not job.finished
    assert job.artifacts is not None
    assert job.artifacts[0].file_type == "hologram"
    assert msgspec.convert({"id": 1, "path_with_namespace": "a/b", "new": 1}, Project).path_with_namespace == "a/b"

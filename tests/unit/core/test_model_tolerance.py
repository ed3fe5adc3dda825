"""What servers send that their documentation does not promise, and what nothing here could hold."""

import json
from typing import Any

import msgspec
import pytest

from artifact_sync.core.model import Job, Pipeline, Project, TriggerJob

JOB = {"id": 3, "name": "build", "status": "success"}
PROJECT = {"id": 1, "path_with_namespace": "acme/app"}
MOST = 2**63 - 1


def decoded(kind: type, value: dict[str, Any]) -> Any:
    """As an adapter decodes it."""
    return msgspec.json.decode(json.dumps(value).encode(), type=kind)


@pytest.mark.parametrize(
    ("kind", "least"),
    [(Job, JOB), (Project, PROJECT), (Pipeline, {"id": 5}), (TriggerJob, JOB)],
    ids=["job", "project", "pipeline", "trigger job"],
)
def test_null_counts_as_left_out(kind, least):
    """Whatever may be missing may also be null, all of it at once and each alone, and survives the state."""
    optional = [field for field in kind.__struct_fields__ if field not in least]
    whole = decoded(kind, least)
    assert optional
    for names in (optional, *([name] for name in optional)):
        got = decoded(kind, least | dict.fromkeys(names))
        assert got == whole
        assert msgspec.json.decode(msgspec.json.encode(got), type=kind) == whole


def test_the_parts_of_a_job_may_have_nulls_too():
    """A status, a file type or a commit id that is null does not hide the job."""
    job = decoded(
        Job,
        JOB
        | {
            "pipeline": {"id": 5, "status": None, "web_url": None, "iid": None},
            "artifacts": [{"file_type": None, "size": None}, {"file_type": "never seen"}, {}],
            "commit": {"id": None, "title": None},
        },
    )
    assert job.pipeline is not None
    assert (job.pipeline.status, job.pipeline.web_url) == ("", "")
    assert [artifact.file_type for artifact in job.artifacts or ()] == ["", "never seen", ""]
    assert (job.sha, job.archive, job.ref_type) == ("", None, "branch")


@pytest.mark.parametrize("number", [0, -5, MOST + 1, 2**64 - 1, 2**64, 10**30])
@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        (Job, lambda n: JOB | {"id": n}),
        (Job, lambda n: JOB | {"pipeline": {"id": n}}),
        (Pipeline, lambda n: {"id": n}),
        (Pipeline, lambda n: {"id": 5, "project_id": n}),
        (Project, lambda n: PROJECT | {"id": n}),
        (TriggerJob, lambda n: JOB | {"downstream_pipeline": {"id": n}}),
    ],
    ids=["job", "its pipeline", "pipeline", "its project", "project", "downstream"],
)
def test_an_id_that_the_state_cannot_hold_is_not_understood(kind, entry, number):
    """SQLite has integers of 64 bits, GitLab counts from one."""
    with pytest.raises(msgspec.ValidationError):
        decoded(kind, entry(number))
    assert decoded(kind, entry(MOST))


@pytest.mark.parametrize("size", [-1, MOST + 1, 10**30])
def test_a_size_that_cannot_be_is_not_understood(size):
    """It would end the daemon where it is stored."""
    for entry in ({"artifacts": [{"file_type": "archive", "size": size}]}, {"artifacts_file": {"size": size}}):
        with pytest.raises(msgspec.ValidationError):
            decoded(Job, JOB | entry)
    with pytest.raises(msgspec.ValidationError):
        decoded(Job, JOB | {"commit": {"id": 10**30}})


@pytest.mark.parametrize("field", ["created_at", "finished_at", "erased_at", "artifacts_expire_at"])
@pytest.mark.parametrize(
    "time",
    [
        "2030-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "9001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_outside_the_calendar_is_not_understood(field, time):
    """Offsets, margins and microseconds could not be computed with it."""
    with pytest.raises(msgspec.ValidationError):
        decoded(Job, JOB | {field: time})
    with pytest.raises(msgspec.ValidationError):
        decoded(Job, JOB | {"pipeline": {"id": 5, "updated_at": time}})
    for good in ("1970-01-01T00:00:00+14:00", "9000-12-31T23:59:59-14:00"):
        assert getattr(decoded(Job, JOB | {field: good}), field).tzinfo is not None

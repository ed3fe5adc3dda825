"""What is shown of jobs, of servers of many years."""

from typing import Any

import msgspec
import pytest

from artifact_sync.core.job_detail import JobDetail, TriggerDetail
from tests.recordings import recordings


def objects(name: str) -> list[dict[str, Any]]:
    data = msgspec.json.decode((recordings() / name).read_bytes())
    return data if isinstance(data, list) else [data]


@pytest.mark.parametrize(
    "name",
    [
        "cern-gitlab/job_32216368_list.json",
        "doc-examples/list_project_jobs.json",
        "gitlab-artifacts-server/pipeline_48040583_jobs.json",
        "gitlab4j/job.json",
        "glab/ci_get-1.json",
        "narkoz-gitlab/jobs.json",
    ],
)
def test_recorded_jobs(name):
    """Each field is as it was recorded, and null is what is left out."""
    for given in objects(name):
        found = msgspec.convert(given, JobDetail)
        assert (found.id, found.name, found.duration) == (given["id"], given["name"], given.get("duration"))
        assert found.tag_list == tuple(given.get("tag_list") or ())
        assert (found.user is None) == (not given.get("user"))


@pytest.mark.parametrize("name", ["doc-examples/list_pipeline_bridges.json", "narkoz-gitlab/pipeline_bridges.json"])
def test_recorded_trigger_jobs(name):
    """With the pipeline that they started."""
    for given in objects(name):
        found = msgspec.convert(given, TriggerDetail)
        started = found.downstream_pipeline.id if found.downstream_pipeline else None
        assert (found.id, started) == (given["id"], (given.get("downstream_pipeline") or {}).get("id"))

"""Reports and logs are planned when the job lists them, and waited for while they may still come."""

from datetime import UTC, datetime

import pytest

from artifact_sync.core.model import Artifact, Candidate, Job, Project
from artifact_sync.core.paths import Template
from artifact_sync.core.planning import lacks, plan
from artifact_sync.core.rules import Fetch, ProjectSelectors, Publish, Rule, explain

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ARCHIVE = Artifact(file_type="archive", size=10, file_format="zip")
JUNIT = Artifact(file_type="junit", size=77, file_format="gzip")
TRACE = Artifact(file_type="trace", size=1200)


def candidate(*listed: Artifact) -> Candidate:
    job = Job(id=7, name="test", status="success", ref="main", finished_at=NOW, artifacts=listed)
    return Candidate(project=Project(id=3, path_with_namespace="group/app"), job=job, retried=False)


def rule(**fetch) -> Rule:
    path = Publish(path=Template.parse("{project}/{job_id}"))
    return Rule(name="r", projects=ProjectSelectors.parse(["**"]), publish=path, fetch=Fetch(**fetch))


def items(subject: Candidate, wanted: Rule, **how) -> list[tuple[object, ...]]:
    transfers = plan(subject, explain(subject, [wanted], NOW), **how)
    return [(i.kind, i.name, i.path, i.size, i.file_format) for transfer in transfers for i in transfer.items]


def test_a_listed_report_is_an_item_with_its_type_size_and_format():
    """Those that the rule names, and no others."""
    sast = Artifact(file_type="sast", size=5, file_format="raw")
    found = items(candidate(ARCHIVE, JUNIT, sast), rule(archive=False, reports=("junit", "dotenv")))
    assert found == [("report", "reports/junit", "junit", 77, "gzip")]


@pytest.mark.parametrize(
    ("fetch", "listed", "waits"),
    [
        ({}, (ARCHIVE,), False),
        ({}, (JUNIT,), True),
        ({"reports": ("junit",)}, (ARCHIVE,), True),
        ({"reports": ("junit",)}, (ARCHIVE, JUNIT), False),
        ({"reports": ("junit", "sast")}, (ARCHIVE, JUNIT), True),
        ({"trace": True}, (ARCHIVE,), False),
        ({"trace": True}, (ARCHIVE, TRACE), False),
        ({"archive": False, "trace": True}, (TRACE,), False),
        ({"archive": False, "files": ("a",)}, (TRACE,), True),
    ],
)
def test_what_is_wanted_and_not_listed_is_lacking(fetch, listed, waits):
    """The pipeline is looked at again for an archive and a report alike; a log is given out before it is listed."""
    subject = candidate(*listed)
    assert lacks(subject, explain(subject, [rule(**fetch)], NOW)) is waits


def test_a_log_is_planned_before_it_is_listed():
    """GitLab gives it out; what is listed of it is its size."""
    wanted = rule(trace=True)
    assert items(candidate(ARCHIVE, TRACE), wanted)[1:] == [("trace", "job.log", None, 1200, None)]
    assert items(candidate(ARCHIVE), wanted)[1:] == [("trace", "job.log", None, None, None)]

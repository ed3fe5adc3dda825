"""What a pass will ask of GitLab, and how long the budget makes it."""

from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.cli.estimate import Estimate
from artifact_sync.core.model import Item, Job, KeepDue, Transfer
from artifact_sync.core.rules import ProjectSelectors, Rule
from artifact_sync.engine import Planned, Survey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = (
    Rule(name="a", projects=ProjectSelectors.parse(["group/app", 7, "libs/**"])),
    Rule(name="b", projects=ProjectSelectors.parse(["group/app"])),
)


def planned(job_id: int, *items: str, backfill: bool = False, keep_in: timedelta | None = None) -> Planned:
    """A transfer of which nothing is there."""
    keeps = []
    if keep_in is not None:
        due = NOW + keep_in
        keeps.append(
            KeepDue(
                project_id=1,
                project_path="group/app",
                job_id=job_id,
                job_name="build",
                rule="a",
                due_at=due,
                expire_at=due + timedelta(days=1),
            )
        )
    transfer = Transfer(
        project_id=1,
        project_path="group/app",
        job=Job(id=job_id, name="build", status="success"),
        rules=("a",),
        items=tuple(Item(kind="file", name=f"files/{name}", path=name) for name in items),
        dest=str(job_id),
        backfill=backfill,
    )
    return Planned(transfer=transfer, known=None, keeps=tuple(keeps))


def test_requests_by_purpose():
    """Each name of a rule once, each page, two for what moved in a project, each watched pipeline, each item."""
    estimate = Estimate(survey=Survey(jobs=300, pages=2, history_pages=3), found=2)
    estimate.add(planned(1, "x", "y"))
    estimate.add(planned(2, "x", backfill=True))
    forecast = estimate.forecast(RULES, watched=4, now=NOW, per_minute=600, keep_share=0)
    assert (forecast.projects, forecast.pages, forecast.pipelines, forecast.downloads) == (3, 5, 8, 3)
    assert forecast.requests == 19
    assert (forecast.history, forecast.history_seconds) == (4, 0.4)


@pytest.mark.parametrize(("keep_share", "seconds"), [(0.0, 10.0), (0.5, 20.0)])
def test_seconds_follow_the_budget(keep_share, seconds):
    """A hundred requests at 600 a minute take 10 seconds, and longer where a share of the rate is not theirs."""
    estimate = Estimate()
    for number in range(97):
        estimate.add(planned(number, "x"))
    forecast = estimate.forecast(RULES, watched=0, now=NOW, per_minute=600, keep_share=keep_share)
    assert forecast.requests == 100
    assert forecast.seconds == seconds


def test_only_keeps_of_this_pass_count():
    """A keep costs two requests if it falls due before the pass ends, and none if it is the daemon's of another day."""
    estimate = Estimate()
    estimate.add(planned(1, "x", keep_in=timedelta(0)))
    estimate.add(planned(2, "x", keep_in=timedelta(days=3)))
    assert estimate.forecast(RULES, watched=0, now=NOW, per_minute=600, keep_share=0.1).keeps == 2

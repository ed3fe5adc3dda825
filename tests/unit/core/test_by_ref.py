"""Which mirrored job answers for a ref and a name."""

import pytest

from artifact_sync.core.by_ref import latest_successful
from artifact_sync.core.model import Job, Pipeline


def job(
    number: int,
    pipeline: int | None,
    name: str = "build",
    *,
    status: str = "success",
    of: str = "success",
    source: str = "push",
) -> Job:
    """A job of a pipeline that had a status when it was found."""
    return Job(
        id=number,
        name=name,
        status=status,
        ref="main",
        pipeline=Pipeline(id=pipeline, status=of, source=source) if pipeline else None,
    )


def chosen(jobs: list[Job], name: str = "build", *, search: bool = False) -> int | None:
    """Its id."""
    found = latest_successful(sorted(jobs, key=lambda job: -job.id), name, search=search)
    return found.id if found else None


def test_the_newest_successful_pipeline_decides():
    """Not the newest job."""
    assert chosen([job(1, 10), job(2, 11), job(3, 12, of="failed")]) == 2


def test_a_retry_in_an_old_pipeline_does_not_make_it_the_newest():
    """Its job has the highest id of all, and its pipeline a lower one."""
    assert chosen([job(1, 10), job(2, 11), job(3, 10)]) == 2


def test_the_newest_of_a_name_superseded_the_others():
    """A retry is a new job of the same pipeline."""
    assert chosen([job(1, 10), job(2, 10), job(3, 10, "test")]) == 2


def test_a_successful_pipeline_without_the_job_ends_the_search_unless_more_is_asked():
    """As in GitLab (search_recent_successful_pipelines)."""
    jobs = [job(1, 10), job(2, 11, "test")]
    assert chosen(jobs) is None
    assert chosen(jobs, search=True) == 1


@pytest.mark.parametrize("of", ["running", "pending", "created", "manual", ""])
def test_a_pipeline_that_still_ran_counts_where_the_job_had_succeeded(of):
    """Otherwise older ones are looked at: it is not known to have succeeded."""
    assert chosen([job(1, 10), job(2, 11, of=of)]) == 2
    assert chosen([job(1, 10), job(2, 11, of=of, status="failed")]) == 1
    assert chosen([job(1, 10), job(2, 11, "test", of=of)]) == 1


@pytest.mark.parametrize("of", ["failed", "canceled", "skipped"])
def test_a_pipeline_that_had_not_succeeded_is_passed_over(of):
    """Whatever the job's own status."""
    assert chosen([job(1, 10), job(2, 11, of=of)]) == 1


def test_the_status_of_the_job_does_not_count_where_the_pipeline_succeeded():
    """A job that was allowed to fail has artifacts as well."""
    assert chosen([job(1, 10, status="failed")]) == 1


def test_a_status_that_any_job_of_it_was_found_with_counts():
    """The one that was found last saw its end."""
    assert chosen([job(1, 10, of="running", status="failed"), job(2, 10, "test", of="success")]) == 1


def test_a_child_pipeline_without_the_job_does_not_hide_its_parent():
    """Which pipeline started it is not stored; with the job it answers itself."""
    child = job(2, 11, "child", source="parent_pipeline")
    assert chosen([job(1, 10), child]) == 1
    assert chosen([job(1, 10), child], "child") == 2


def test_jobs_without_a_pipeline_are_left_out():
    """Servers that old do not say."""
    assert chosen([job(1, None)]) is None
    assert chosen([]) is None

"""When a job ended, as far as what GitLab tells can be believed."""

from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.core.model import Job

FIRST, CREATED = datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
STARTED, ENDED = CREATED + timedelta(hours=1), CREATED + timedelta(hours=3)
LAST = datetime(9000, 12, 31, 23, 59, 59, tzinfo=UTC)
YEARS = timedelta(days=800)


@pytest.mark.parametrize(
    ("created", "started", "finished", "ended"),
    [
        (CREATED, STARTED, ENDED, ENDED),
        (CREATED, STARTED, None, None),
        (None, None, ENDED, ENDED),
        (None, None, FIRST, FIRST),
        (None, None, LAST, LAST),
        (CREATED, STARTED, FIRST, STARTED),
        (CREATED, STARTED, LAST, STARTED),
        (CREATED, STARTED, STARTED + YEARS, STARTED),
        (CREATED, None, FIRST, CREATED),
        (CREATED, None, CREATED + YEARS, CREATED + YEARS),
        (CREATED, FIRST, FIRST, CREATED),
        (CREATED, FIRST, ENDED, ENDED),
        (CREATED, LAST, ENDED, ENDED),
        (FIRST, FIRST, ENDED, ENDED),
        (LAST, LAST, LAST, LAST),
        (FIRST, FIRST, FIRST, FIRST),
        (ENDED, STARTED, ENDED - timedelta(days=30), ENDED - timedelta(days=30)),
    ],
)
def test_an_end_that_cannot_be_is_the_beginning(created, started, finished, ended):
    """One before GitLab ran jobs, or a year and more after the job began; everything else is believed."""
    job = Job(id=1, name="a", status="success", created_at=created, started_at=started, finished_at=finished)
    assert job.ended_at == ended

"""A job is named by its address, or by its project and its number."""

import pytest

from artifact_sync.cli.jobs import named_job
from artifact_sync.errors import UsageError

URL = "https://gitlab.example.com"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((f"{URL}/group/app/-/jobs/7",), ("group/app", 7)),
        ((f"{URL}/api/v4/projects/3/jobs/7",), (3, 7)),
        (("group/app", "7"), ("group/app", 7)),
        (("3", "7"), (3, 7)),
        (("group/app", "#7"), ("group/app", 7)),
    ],
)
def test_a_job_has_two_names(words, named):
    """An address and a project with a number mean the same job."""
    assert named_job(words, URL) == named


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("1003",), "1003 is a number alone"),
        (("group/app",), "group/app is no address"),
        (("group/app", "package"), "group/app package names no job"),
        (("group/app", "7", "8"), "group/app 7 8 names no job"),
        (("group/app", "9" * 19), "names no job"),
    ],
)
def test_what_names_no_job(words, what):
    """Anything else is refused, and the hint says what to write instead."""
    with pytest.raises(UsageError, match=what) as refused:
        named_job(words, URL)
    assert f"{URL}/group/project/-/jobs/" in refused.value.hint
    assert "group/project " in refused.value.hint


def test_the_hint_has_the_number_that_was_written():
    """Of a number alone the hint is what to type, but for the project."""
    with pytest.raises(UsageError) as refused:
        named_job(("1003",), f"{URL}/")
    assert refused.value.hint == f"Write group/project 1003, or {URL}/group/project/-/jobs/1003"

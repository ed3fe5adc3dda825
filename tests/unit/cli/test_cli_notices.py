"""What the log warns of is told a person in words."""

import io
import sys

import pytest
import structlog

from artifact_sync.cli.notices import notice
from artifact_sync.observe import configure


@pytest.fixture
def _log_restored():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


RETRIED = {"event": "request.retried", "asked": "GET /api/v4/projects/1/jobs", "attempt": 1, "wait": 3.0}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            RETRIED | {"answer": "503 Service Unavailable"},
            "GitLab answered 503 Service Unavailable to GET /api/v4/projects/1/jobs; trying again in 3 s",
        ),
        (
            RETRIED | {"answer": "no connection: Connection refused"},
            "GET /api/v4/projects/1/jobs: no connection: Connection refused; trying again in 3 s",
        ),
        (RETRIED | {"answer": "503\nerror: forged"}, None),
        (
            {
                "event": "archive.rejected",
                "job": 7,
                "rule": "encrypted",
                "reason": "member 'a' is encrypted",
                "member": "a",
            },
            "the archive of job #7 is not unpacked: member 'a' is encrypted; it is published as a file",
        ),
        ({"event": "daemon.started", "url": "x"}, None),
    ],
)
def test_words(event, text):
    """A retry is a sentence without line breaks; what has no words here is None."""
    told = notice(event)
    if text is None:
        assert told is None or "\n" not in told
    else:
        assert told == text


@pytest.mark.usefixtures("_log_restored")
@pytest.mark.parametrize(("form", "sentence"), [("console", True), ("json", False)])
def test_only_a_console_gets_sentences(form, sentence, monkeypatch):
    """A line with words is told in them on a console, and stays an object for programs; secrets are masked in both."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure(form=form, level="warning", words=notice)
    structlog.get_logger().warning(
        "request.retried", asked="GET /x", answer="503 glpat-0123456789abc", attempt=1, wait=3.0
    )
    told = out.getvalue()
    assert told.startswith("GitLab answered 503 [masked] to GET /x; trying again in 3 s\n") is sentence
    assert told.startswith("{") is not sentence
    assert "glpat-0123456789abc" not in told


@pytest.mark.usefixtures("_log_restored")
def test_other_lines_stay_as_they_are(monkeypatch):
    """A line without words keeps its name and its fields."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure(form="console", level="warning", words=notice)
    structlog.get_logger().warning("project.failed", project="group/app")
    assert "project.failed" in out.getvalue()
    assert "group/app" in out.getvalue()

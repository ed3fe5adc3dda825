"""What webhooks are about."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.hints import Hint
from artifact_sync.gitlab.hook_events import hint_in
from tests.webhooks import job_event, pipeline_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("status", ["success", "failed", "canceled", "skipped", "something_new"])
def test_a_job_that_has_ended_is_a_hint(status):
    """By its three numbers, and nothing else."""
    assert hint_in(job_event(status=status)) == Hint(project_id=1, pipeline_id=5, job_id=7)


@pytest.mark.parametrize(
    "status", ["created", "pending", "running", "manual", "scheduled", "preparing", "canceling", "waiting_for_resource"]
)
def test_a_job_that_has_not_ended_is_none(status):
    """GitLab tells of every change of status."""
    assert hint_in(job_event(status=status)) is None


@pytest.mark.parametrize(
    ("status", "tells"),
    [
        ("success", True),
        ("failed", True),
        ("canceled", True),
        ("manual", True),
        ("scheduled", True),
        ("running", False),
    ],
)
def test_a_pipeline_that_stands_still_is_a_hint(status, tells):
    """One that waits for somebody has jobs that have ended."""
    hint = Hint(project_id=1, pipeline_id=5) if tells else None
    assert hint_in(pipeline_event(status=status)) == hint


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{}",
        b'{"object_kind": 7}',
        b'{"object_kind": "push", "project_id": 1}',
        b'{"object_kind": "build"}',
        job_event(project_id=0),
        job_event(project_id=-1),
        job_event(pipeline_id=2**63),
        job_event(build_id="7"),
        job_event(build_id=7.5),
        job_event(build_id=True),
        job_event(project_id=None),
        job_event(project_id="1 OR 1=1"),
        pipeline_event(project=None),
        pipeline_event(object_attributes=[]),
    ],
)
def test_whatever_else_comes_is_no_hint_and_no_error(body):
    """Other events, other types, no JSON, and JSON without a bottom."""
    assert hint_in(body) is None


@given(body=st.binary(max_size=100))
def test_no_bytes_are_an_error(body):
    """Whatever they are."""
    assert hint_in(body) is None


@given(kind=st.sampled_from(["build", "pipeline"]), more=st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_strange_fields_do_not_matter(kind, more):
    """New versions add some; numbers that are read are numbers."""
    body = (job_event if kind == "build" else pipeline_event)()
    event = more | json.loads(body)
    assert hint_in(json.dumps(event).encode()) == hint_in(body)

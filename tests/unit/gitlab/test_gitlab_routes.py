"""Requests as spans: a route in place of a path, and no query."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.errors import Transient
from artifact_sync.gitlab.routes import route
from artifact_sync.gitlab.traffic import Tally
from artifact_sync.ports import Priority
from artifact_sync.ports.tracing import traced
from tests.unit.gitlab.written_spans import Written

JOB = "/api/v4/projects/:id/jobs/:job_id"
ROUTES = {
    "/api/v4/version": "/api/v4/version",
    "/gitlab/api/v4/job/allowed_agents": "/api/v4/job/allowed_agents",
    "/api/v4/projects": "/api/v4/projects",
    "/api/v4/projects/acme%2Fapp": "/api/v4/projects/:id",
    "/api/v4/groups/acme%2Fall/projects": "/api/v4/groups/:id/projects",
    "/api/v4/projects/7/pipelines/8/trigger_jobs": "/api/v4/projects/:id/pipelines/:pipeline_id/trigger_jobs",
    "/api/v4/projects/7/jobs/9": JOB,
    "/api/v4/projects/7/jobs/9/artifacts": f"{JOB}/artifacts",
    "/api/v4/projects/7/jobs/9/artifacts/keep": f"{JOB}/artifacts/keep",
    "/api/v4/projects/7/jobs/9/artifacts/tree": f"{JOB}/artifacts/tree",
    "/api/v4/projects/7/jobs/9/artifacts/dist/app.tar": f"{JOB}/artifacts/*artifact_path",
    "/api/v4/projects/7/jobs/artifacts/fix/one/raw/a/b": (
        "/api/v4/projects/:id/jobs/artifacts/*ref_name/raw/*artifact_path"
    ),
    "/api/v4/projects/7/jobs/artifacts/fix/one/download": "/api/v4/projects/:id/jobs/artifacts/*ref_name/download",
}


@pytest.mark.parametrize(("path", "template"), ROUTES.items())
def test_a_path_has_its_route(path, template):
    """With the instance's own root before it, and whatever is asked about in it."""
    assert route(path) == template


@given(st.text())
def test_what_is_no_route_has_none(text):
    """So that there are no more names than routes."""
    assert route(text) is None
    found = route(f"/api/v4/secrets/{text}")
    assert found is None


def exchanged(url: str, status: int | None) -> tuple[str, dict[str, Any]]:
    """The span of one exchange; without a status there was no answer."""
    tracer = Written()
    with traced(tracer), Tally().exchange(Priority.DOWNLOAD, "GET /x", url) as exchange:
        if status is None:
            raise Transient("GET /x", "no connection")
        exchange.answered(status, {"X-Request-Id": "01J"})
    (span,) = tracer.spans
    return span


def test_a_request_has_the_names_of_the_conventions():
    """Without its query; with the port of the scheme where none is written."""
    name, told = exchanged("https://user:pass@git.example/api/v4/projects/7/jobs/9/artifacts?job_token=x#y", 200)
    assert name == "GET /api/v4/projects/:id/jobs/:job_id/artifacts"
    assert told == {
        "within": (),
        "http.request.method": "GET",
        "server.address": "git.example",
        "server.port": 443,
        "url.template": "/api/v4/projects/:id/jobs/:job_id/artifacts",
        "url.full": "https://git.example/api/v4/projects/7/jobs/9/artifacts",
        "purpose": "download",
        "http.response.status_code": 200,
        "gitlab_request": "01J",
    }


def test_of_an_object_store_no_more_than_its_address_is_told():
    """Neither path nor query; an answer from 400 on is a failure of this kind."""
    name, told = exchanged("http://store.example:9000/bucket/ab/artifacts.zip?X-Amz-Signature=abc", 403)
    assert name == "GET"
    assert (told["server.address"], told["server.port"], told["failed"]) == ("store.example", 9000, "403")
    assert not any("bucket" in str(value) or "Amz" in str(value) for value in told.values())


def test_a_request_without_an_answer_leaves_its_span_as_an_error():
    """So the tracer hears of it."""
    tracer = Written()
    with traced(tracer), pytest.raises(Transient), Tally().exchange(Priority.POLL, "GET /x", "https://git.example/x"):
        raise Transient("GET /x", "no connection")
    assert tracer.spans[0][1]["raised"] == "Transient"
    assert "http.response.status_code" not in tracer.spans[0][1]


def test_where_nobody_traces_nothing_is_told():
    """And everything is done."""
    tracer = Written()
    with traced(tracer):
        pass
    with Tally().exchange(Priority.POLL, "GET /x", "https://git.example/x") as exchange:
        exchange.answered(200, {})
    assert (tracer.spans, exchange.status) == ([], 200)

"""The same requests, sent to GitLab (simulated) and to the replica: what differs is written down here, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from yarl import URL

from artifact_sync.core.rules import Fetch
from artifact_sync.simulator import TOKEN
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.docs import table
from tests.integration.web.web_harness import ended, served

#: Headers that differ, with the reason; ``docs/replica.md`` has the same table.
HEADERS = {
    "Date": "another clock",
    "Server": "another server",
    "X-Request-ID": "GitLab's own tracing",
    "X-Runtime": "GitLab's own tracing",
    "Content-Security-Policy": "a file of a build must run nowhere",
    "X-Content-Type-Options": "a file of a build must be nothing but what it is said to be",
    "Content-Disposition": "always attachment: GitLab's log has a misspelt `infile`, and names are escaped here",
    "Last-Modified": "of the publication here, not of the upload there",
    "ETag": "of JSON by its own bytes; the log and reports have one as well",
    "Accept-Ranges": "the log and reports take ranges as well; single files out of an archive say that they take none",
    "Content-Length": "compared with the body instead",
    "Cache-Control": "only where the JSON's ETag stands",
    "Content-Type": "the log names its character set",
    "Link": "leads back to the replica, and has no credential; compared apart from its origin",
}
#: Of these the replica gives the same as GitLab wherever GitLab gives it.
SAME_FOR_ARCHIVES = ("ETag", "Accept-Ranges", "Content-Length", "Content-Type", "Content-Transfer-Encoding")
#: Fields of a job that differ, with the reason.
FIELDS = {
    "coverage": "not stored: null",
    "user": "not stored: null",
    "runner": "not stored: null",
    "runner_manager": "not stored: null",
    "queued_duration": "not stored: null",
    "duration": "of the stored times, which have milliseconds",
    "commit": "id, short_id and title alone are stored",
    "archived": "not stored: left out",
    "tag_list": "not stored: left out",
    "project": "not stored: left out",
    "artifacts": "those that are served here",
    "pipeline": "its status and times are those when the job was found",
}
#: Of the replica's fields of a project GitLab has the same values but for these.
PROJECT_FIELDS = {
    "default_branch": "not stored: null",
    "description": "not stored: null",
    "namespace": "its path alone is known",
    "name_with_namespace": "made of the path: names of groups are not stored",
    "name": "made of the path",
}
JOB, REF = "/projects/1/jobs/{job}", "/projects/acme%2Fapp/jobs/artifacts"
REQUESTS: dict[str, tuple[str, dict[str, str]]] = {
    "project by id": ("/projects/1", {}),
    "project by path": ("/projects/acme%2Fapp", {}),
    "project that is not there": ("/projects/acme%2Fnone", {}),
    "projects": ("/projects", {}),
    "projects by keyset": ("/projects?pagination=keyset&order_by=id&per_page=1", {}),
    "jobs": ("/projects/1/jobs", {}),
    "jobs by keyset": ("/projects/1/jobs?pagination=keyset&per_page=2", {}),
    "last jobs by keyset": ("/projects/1/jobs?pagination=keyset&per_page=50", {}),
    "jobs by page": ("/projects/1/jobs?per_page=2&page=2", {}),
    "jobs by scope": ("/projects/1/jobs?scope[]=success&scope[]=running&per_page=3", {}),
    "jobs by a scope that nothing has": ("/projects/1/jobs?scope=canceled", {}),
    "jobs by no scope of GitLab's": ("/projects/1/jobs?scope=done", {}),
    "jobs in another order": ("/projects/1/jobs?pagination=keyset&sort=asc", {}),
    "jobs on page 0": ("/projects/1/jobs?page=0", {}),
    "jobs of a pipeline": ("/projects/1/pipelines/{pipeline}/jobs?per_page=1", {}),
    "jobs of no pipeline": ("/projects/1/pipelines/999999/jobs", {}),
    "job": (JOB, {}),
    "job that is not there": ("/projects/1/jobs/999999", {}),
    "log": (f"{JOB}/trace", {}),
    "archive": (f"{JOB}/artifacts", {}),
    "archive in part": (f"{JOB}/artifacts", {"Range": "bytes=10-99"}),
    "archive from the end": (f"{JOB}/artifacts", {"Range": "bytes=-10"}),
    "archive behind its end": (f"{JOB}/artifacts", {"Range": "bytes=99999999-"}),
    "archive in parts": (f"{JOB}/artifacts", {"Range": "bytes=0-1,4-5"}),
    "archive under another ETag": (f"{JOB}/artifacts", {"Range": "bytes=0-1", "If-Range": '"other"'}),
    "archive unless it is any": (f"{JOB}/artifacts", {"If-None-Match": "*"}),
    "archive if it is another": (f"{JOB}/artifacts", {"If-Match": '"other"'}),
    "report": (f"{JOB}/artifacts?file_type=junit", {}),
    "report that is no type": (f"{JOB}/artifacts?file_type=metadata", {}),
    "report that the job has not": (f"{JOB}/artifacts?file_type=sast", {}),
    "file": (f"{JOB}/artifacts/notes.txt", {}),
    "file in a folder": (f"{JOB}/artifacts/deep/er/file", {}),
    "empty file": (f"{JOB}/artifacts/empty", {}),
    "file with NUL": (f"{JOB}/artifacts/a%00b", {}),
    "tree": (f"{JOB}/artifacts/tree", {}),
    "whole tree": (f"{JOB}/artifacts/tree?recursive=true&per_page=3", {}),
    "tree below": (f"{JOB}/artifacts/tree?path=deep", {}),
    "tree of nothing": (f"{JOB}/artifacts/tree?path=none", {}),
    "archive by ref": (f"{REF}/main/download?job=build", {}),
    "archive by a ref with a slash": (f"{REF}/feature/x/download?job=build", {}),
    "archive by an encoded ref": (f"{REF}/feature%2Fx/download?job=build", {}),
    "archive by ref of no job": (f"{REF}/main/download?job=none", {}),
    "archive by no ref": (f"{REF}/none/download?job=build", {}),
    "archive by ref without a job": (f"{REF}/main/download", {}),
    "file by ref": (f"{REF}/main/raw/deep/er/file?job=build", {}),
    "file by a ref with a slash": (f"{REF}/feature/x/raw/notes.txt?job=build", {}),
    "no route": ("/nothing/here", {}),
}
#: Statuses and bodies that differ as a whole, with the reason.
ANSWERS = {
    "file that is not there": "GitLab's comes from Workhorse, in plain text",
}


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


@pytest.fixture
async def pair(world, app, tmp_path):
    """GitLab with several pipelines, and its replica."""
    ended(world, app, "build", "test")
    ended(world, app, "build", ref="feature/x")
    jobs = ended(world, app, "build", "test")
    async with rig(world, tmp_path, rule(fetch=Fetch(reports=("junit",), trace=True))) as daemon:
        await daemon.sync()
        async with served(daemon) as replica:
            yield world, replica, jobs[0]


async def ask(http, base: str, name: str, job, method: str = "GET") -> Answer:
    path, headers = REQUESTS.get(name, (f"{JOB}/artifacts/none", {}))
    path = path.format(job=job.id, pipeline=job.pipeline.id)
    url = URL(f"{base}/api/v4{path}", encoded=True)
    async with http.request(method, url, headers={"PRIVATE-TOKEN": TOKEN, **headers}) as answer:
        spelt = {name.lower(): name for name in (*HEADERS, *SAME_FOR_ARCHIVES)}
        headers = {spelt.get(name.lower(), name): value for name, value in answer.headers.items()}
        return Answer(answer.status, await answer.read(), headers)


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_replica_answers_as_gitlab_does(pair, http, name):
    """Status, headers and body, up to the differences that the tables name."""
    world, replica, job = pair
    theirs, ours = await ask(http, world.url, name, job), await ask(http, replica.url, name, job)
    assert ours.status == theirs.status
    assert {k for k in ours.headers.keys() ^ theirs.headers.keys() if k not in HEADERS} == set()
    shared = ours.headers.keys() & theirs.headers.keys() - HEADERS.keys()
    assert {k: ours.headers[k] for k in shared} == {k: theirs.headers[k] for k in shared}
    if name.startswith("archive") and ours.status in {200, 206}:
        assert {k: ours.headers.get(k) for k in SAME_FOR_ARCHIVES} == {
            k: theirs.headers.get(k) for k in SAME_FOR_ARCHIVES
        }
    assert links(ours, replica.url) == links(theirs, world.url)
    if ours.headers.get("Content-Type", "").startswith("application/json") and "file" not in name:
        assert known(json.loads(ours.body)) == known(json.loads(theirs.body), of=json.loads(ours.body))
    else:
        assert ours.body == theirs.body
        assert int(ours.headers.get("Content-Length", "0")) == len(ours.body)


@pytest.mark.parametrize("name", [name for name in REQUESTS if "not" not in name])
async def test_head_is_answered_like_get(pair, http, name):
    """The same status and length, without a body, as far as GitLab's own HEAD goes."""
    _, replica, job = pair
    got, headed = await ask(http, replica.url, name, job), await ask(http, replica.url, name, job, "HEAD")
    assert (headed.status, headed.body) == (got.status, b"")
    assert headed.headers.get("Content-Length", "0") == got.headers.get("Content-Length", "0")


async def test_a_file_that_is_not_in_the_archive_is_404_in_json(pair, http):
    """Where GitLab's comes from Workhorse in plain text: the one answer that differs as a whole."""
    world, replica, job = pair
    (name,) = ANSWERS
    theirs, ours = await ask(http, world.url, name, job), await ask(http, replica.url, name, job)
    assert (theirs.status, ours.status) == (404, 404)
    assert ours.body == b'{"message":"404 Not found"}'


def test_the_documentation_has_the_same_table():
    """Every header and field that differs is in it with its reason."""
    written = table()
    assert {name: why for name, why in written.items() if name in HEADERS} == HEADERS
    assert {name: why for name, why in written.items() if name in FIELDS} == FIELDS


def links(answer: Answer, base: str) -> list[tuple[str, dict[str, str]]]:
    """Where Link leads, apart from the origin."""
    found = []
    for part in filter(None, answer.headers.get("Link", "").split(", <")):
        url, _, rel = part.lstrip("<").partition(">")
        assert url.startswith(base)
        parsed = URL(url)
        found.append((f"{parsed.path} {rel}", dict(parsed.query)))
    return found


def known(data: Any, of: Any = None) -> Any:
    """The JSON without what is known to differ; ``of``: without what the other has not, of a project."""
    if isinstance(data, list):
        return [known(row, of[at] if of and at < len(of) else None) for at, row in enumerate(data)]
    if isinstance(data, dict) and "path_with_namespace" in data:
        kept = {k: v for k, v in data.items() if k not in PROJECT_FIELDS}
        return kept if of is None else {k: v for k, v in kept.items() if k in of}
    if isinstance(data, dict):
        return {k: v for k, v in data.items() if k not in FIELDS}
    return data

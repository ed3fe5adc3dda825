"""Clients as people use them, with nothing changed but the address: python-gitlab, and GitLab's documented curl lines."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from functools import partial
from typing import Any

import anyio.to_thread
import gitlab
import pytest

from artifact_sync.web import Reader
from tests.integration.web.web_harness import FILES, Served, archive_of, ended, served

TOKEN = "reader-token-0123456789"


@pytest.fixture
async def guarded(mirror):
    """The replica behind a token."""
    async with served(mirror, Reader(token=lambda: TOKEN)) as answering:
        yield answering


def exercised(replica: Served, job: Any) -> None:
    """What people do with python-gitlab: lists, files, streams, and the errors that they catch."""
    gl = gitlab.Gitlab(replica.url, private_token=TOKEN)
    assert gl.version()[0].startswith("18.")
    project = gl.projects.get("acme/app")
    assert (project.id, [found.id for found in gl.projects.list(get_all=True)]) == (1, [1])
    assert [found.id for found in project.jobs.list(iterator=True, scope=["success"])] == [job.id]
    assert [found.id for found in project.jobs.list(pagination="keyset", per_page=1, get_all=True)] == [job.id]
    pipeline = project.pipelines.get(job.pipeline.id, lazy=True)
    assert [found.name for found in pipeline.jobs.list(get_all=True)] == ["build"]
    found = project.jobs.get(job.id)
    assert (found.status, found.artifacts_file["size"]) == ("success", len(archive_of(job)))
    assert found.artifacts() == archive_of(job)
    assert found.artifact("notes.txt") == FILES["notes.txt"]
    assert found.trace() == job.trace
    streamed = io.BytesIO()
    found.artifacts(streamed=True, action=streamed.write)
    assert zipfile.ZipFile(streamed).read("notes.txt") == FILES["notes.txt"]
    assert project.artifacts.download(ref_name="main", job="build") == archive_of(job)
    assert project.artifacts.raw(ref_name="main", artifact_path="deep/er/file", job="build") == FILES["deep/er/file"]
    found.keep_artifacts()
    with pytest.raises(gitlab.GitlabGetError) as missing:
        project.jobs.get(999)
    assert missing.value.response_code == 404
    with pytest.raises(gitlab.GitlabAuthenticationError):
        gitlab.Gitlab(replica.url, private_token="wrong").projects.get(1)
    with pytest.raises(gitlab.GitlabJobCancelError):
        found.cancel()


async def test_python_gitlab_works_unmodified(guarded, mirror, job):
    """It is another's code, and knows nothing of this server."""
    await anyio.to_thread.run_sync(exercised, guarded, job)
    assert [pin.job_id for pin in await mirror.state.pins()] == [job.id]


async def test_python_gitlab_walks_all_pages(world, app, mirror):
    """Its iterators follow the links, which lead back here: by cursor and by number."""
    jobs = [job.id for _ in range(5) for job in ended(world, app, "build")]
    await mirror.sync()

    def walk(replica: Served) -> list[list[int]]:
        project = gitlab.Gitlab(replica.url).projects.get(1, lazy=True)
        keyset = project.jobs.list(pagination="keyset", per_page=2, iterator=True)
        return [[job.id for job in keyset], [job.id for job in project.jobs.list(per_page=2, iterator=True)]]

    async with served(mirror) as replica:
        walked = await anyio.to_thread.run_sync(walk, replica)
    assert walked == [[*reversed(jobs), 1001]] * 2


#: https://docs.gitlab.com/api/job_artifacts/ and https://docs.gitlab.com/api/jobs/, with our address, token and ids.
LINES = {
    "archive by job": ["--location", "--output", "{out}", "--header", "PRIVATE-TOKEN: {t}", "{a}/projects/1/jobs/1001/artifacts"],
    "archive by job token": ["--location", "--output", "{out}", "{a}/projects/1/jobs/1001/artifacts?job_token={t}"],
    "archive by ref": [
        *("--location", "--output", "{out}", "--header", "JOB-TOKEN: {t}"),
        "{a}/projects/acme%2Fapp/jobs/artifacts/main/download?job=build",
    ],
    "archive resumed": [
        *("--location", "--output", "{out}", "--continue-at", "-", "--header", "PRIVATE-TOKEN: {t}"),
        "{a}/projects/1/jobs/1001/artifacts",
    ],
}  # fmt: skip


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = shutil.which("curl")
    if command is None:
        pytest.skip("no curl")
    return subprocess.run([command, "--silent", "--fail", *arguments], capture_output=True, check=False, timeout=30)


@pytest.mark.parametrize("name", LINES)
async def test_documented_curl_lines_fetch_the_archive(guarded, job, tmp_path, name):
    """As they stand in GitLab's documentation; the last one goes on with what is there."""
    out = tmp_path / "artifacts.zip"
    if name == "archive resumed":
        out.write_bytes(archive_of(job)[:1000])
    arguments = [part.format(out=out, t=TOKEN, a=f"{guarded.url}/api/v4") for part in LINES[name]]
    done = await anyio.to_thread.run_sync(partial(curl, *arguments))
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.read_bytes() == archive_of(job)


async def test_curl_sees_single_files_lists_and_errors(guarded, job):
    """A file, a tree, a job and a log; and 22, which is curl's word for what is not there."""
    base, header = f"{guarded.url}/api/v4/projects/1/jobs", ["--header", f"PRIVATE-TOKEN: {TOKEN}"]

    async def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return await anyio.to_thread.run_sync(partial(curl, *arguments))

    assert (await run(*header, f"{base}/1001/artifacts/deep/er/file")).stdout == FILES["deep/er/file"]
    assert (await run(*header, f"{base}/artifacts/main/raw/notes.txt?job=build")).stdout == FILES["notes.txt"]
    assert b'"path":"deep/"' in (await run(*header, f"{base}/1001/artifacts/tree")).stdout
    assert (await run(*header, f"{base}/1001/trace")).stdout == job.trace
    assert b'"id":1001' in (await run(*header, "--request", "POST", f"{base}/1001/artifacts/keep")).stdout
    assert (await run(*header, f"{base}/1001/artifacts/none")).returncode == 22
    assert (await run(f"{base}/1001")).returncode == 22

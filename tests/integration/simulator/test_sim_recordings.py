"""The simulator's JSON has what GitLab's schemas ask for and what real servers sent."""

import json
from typing import Any

import pytest

from tests.recordings import recordings

SCHEMAS = "gitlab-schemas/gitlabhq/spec/fixtures/api/schemas/public_api/v4"


def schema(name: str) -> dict[str, Any]:
    """One of GitLab's own schemas; its required keys are a floor, not an oracle."""
    found: dict[str, Any] = json.loads((recordings() / SCHEMAS / name).read_text())
    return found


def recorded(name: str) -> Any:
    return json.loads((recordings() / name).read_text())


async def got(scene, http, path: str) -> Any:
    async with http.get(scene.api(path)) as answer:
        assert answer.status == 200
        return await answer.json()


@pytest.fixture
async def job(scene, running, http):
    """A finished job with everything."""
    return await got(scene, http, f"/projects/1/jobs/{scene.build.id}")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("job.json", ()),
        ("pipeline/basic.json", ("pipeline",)),
        ("commit/basic.json", ("commit",)),
        ("user/basic.json", ("user",)),
        ("runner.json", ("runner",)),
        ("runner_manager.json", ("runner_manager",)),
        ("artifact_file.json", ("artifacts_file",)),
        ("artifact.json", ("artifacts", 0)),
        ("artifact.json", ("artifacts", -1)),
    ],
)
async def test_required_keys_are_there(job, name, path):
    """Every key that GitLab's schema requires."""
    found = job
    for step in path:
        found = found[step]
    assert set(schema(name)["required"]) <= set(found)


@pytest.mark.parametrize(
    "name",
    [
        "cern-gitlab/job_32216368_list.json",
        "gitlab-com-2025/job_9251826755_tail.json",
        "gitlab-artifacts-server/pipeline_48040583_jobs.json",
        "doc-examples/list_project_jobs.json",
    ],
)
async def test_keys_of_recorded_jobs_are_there(job, name):
    """Every key of a job that a real server sent, and of the objects in it; failure_reason is for failed jobs."""
    real = recorded(name)
    for one in real if isinstance(real, list) else [real]:
        assert set(one) - {"_note", "failure_reason"} <= set(job)
        for part in ("pipeline", "commit", "runner", "artifacts_file", "project"):
            assert set(one.get(part) or ()) <= set(job[part]), part


async def test_kinds_of_recorded_values_agree(job):
    """Where both have a value it is of the same JSON type, and the trace's format is null in both."""
    (real,) = recorded("cern-gitlab/job_32216368_list.json")
    different = {k for k in real if real[k] is not None and job[k] is not None and type(real[k]) is not type(job[k])}
    assert different == set()
    formats = [{row["file_type"]: row["file_format"] for row in one["artifacts"]} for one in (real, job)]
    assert formats[0].items() <= formats[1].items()


async def test_keys_of_recorded_pipelines_are_there(scene, running, http):
    """In the list and alone."""
    listed = (await got(scene, http, "/projects/1/pipelines"))[0]
    for name in ("cern-gitlab/pipelines.json", "gitlab-artifacts-server/pipelines_success.json", "glab/ciList.json"):
        assert set(recorded(name)[0]) <= set(listed)
    alone = await got(scene, http, f"/projects/1/pipelines/{scene.main.id}")
    assert set(recorded("glab/ci_get-0.json")) <= set(alone)


async def test_keys_of_documented_bridges_are_there(scene, running, http):
    """As in GitLab's documentation."""
    (found,) = await got(scene, http, f"/projects/1/pipelines/{scene.main.id}/bridges")
    (documented,) = recorded("doc-examples/list_pipeline_bridges.json")
    assert set(documented) <= set(found)
    assert set(documented["downstream_pipeline"]) <= set(found["downstream_pipeline"])


async def test_paging_headers_are_those_of_a_recorded_walk(scene, running, http):
    """The names that gitlab.com sent on a page in the middle, and the relations of its Link."""
    real = recorded("ogr-gitlab-com/http_exchanges_headers.json")[1]["headers"]
    names = {name for name in real if name.startswith("X-") and ("Page" in name or "Total" in name)} | {"Link", "Etag"}
    async with http.get(scene.api("/projects/1/pipelines?per_page=1&page=1")) as answer:
        assert names <= {name.title() if name == "ETag" else name for name in answer.headers}
        assert set(answer.links) <= {part.split('rel="')[1][:-1] for part in real["Link"].split(", ")}


async def test_archives_look_like_the_runners(scene):
    """Data descriptors, Unix modes, symlinks and extra fields as in an archive of a real runner."""
    import io  # noqa: PLC0415 -- used here alone
    import zipfile  # noqa: PLC0415

    with (
        zipfile.ZipFile(recordings() / "runner-zip/gl.zip") as real,
        zipfile.ZipFile(io.BytesIO(scene.build.spec.archive.content.data)) as ours,
    ):
        assert ours.testzip() is None
        kinds = [{(info.external_attr >> 28) for info in archive.infolist()} for archive in (real, ours)]
        assert kinds[0] == kinds[1]
        for archive in (real, ours):
            files = [info for info in archive.infolist() if not info.is_dir()]
            assert all(info.flag_bits & 0x8 and info.create_system == 3 for info in files)
            assert all(info.extra.startswith(b"ux") and b"UT" in info.extra for info in files)

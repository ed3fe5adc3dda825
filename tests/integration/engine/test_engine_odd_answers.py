"""Jobs of which GitLab tells what cannot be: they are mirrored as the others are, and stand in nobody's way."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest

from artifact_sync.core.model import Project
from artifact_sync.core.paths import Template
from artifact_sync.core.rules import Keep, KeepPolicy
from artifact_sync.engine.movement import Movement
from artifact_sync.engine.projects import resolve
from artifact_sync.errors import Refused
from artifact_sync.simulator import TOKEN, SimJob, SimProject, World, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.engine.engine_harness import DAY, QUICK, build, rig, rule
from tests.integration.fetch.raw_server import RawServer, Request, raw_server
from tests.integration.gitlab.gitlab_harness import client_of, json_answer

FAR, FARTHER, BEFORE = "9999-12-31T23:59:59.999Z", "10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"
HALF = "build \ud800"
KEPT = Keep(policy=KeepPolicy.ALWAYS, lead=timedelta(hours=1))


async def retell(world: World, project: SimProject, job: SimJob, **changes: Any) -> None:
    """Have the project's list tell this of a job, as the server's JSON has it."""
    address = f"/api/v4/projects/{project.id}/jobs"
    async with (
        aiohttp.ClientSession() as session,
        session.get(world.url + address, headers={"PRIVATE-TOKEN": TOKEN}, params={"per_page": "100"}) as answer,
    ):
        told = await answer.json()
    (entry,) = (entry for entry in told if entry["id"] == job.id)
    assert entry.keys() >= changes.keys()
    entry |= changes
    # Python's own module writes half a character as any other.
    odd = faults.Answer(status=200, body=json.dumps(told), content_type="application/json")
    world.faults.add(Fault(path=f"{address}$", action=odd, times=None))


@pytest.mark.parametrize("backfill", [None, timedelta(days=30)])
@pytest.mark.parametrize(
    "changes",
    [
        {"artifacts_expire_at": FAR},
        {"artifacts_expire_at": FARTHER},
        {"artifacts_expire_at": BEFORE},
        {"finished_at": FAR},
        {"finished_at": FARTHER},
        {"finished_at": "2999-01-01T00:00:00Z"},
        {"finished_at": BEFORE},
        {"created_at": BEFORE},
        {"created_at": FARTHER, "started_at": FARTHER, "finished_at": FARTHER, "artifacts_expire_at": FARTHER},
        {"created_at": FARTHER, "finished_at": BEFORE, "artifacts_expire_at": BEFORE},
        {"name": HALF},
        {"ref": HALF, "stage": "\udfff"},
    ],
    ids=str,
)
async def test_every_job_of_the_page_is_mirrored(world, app, tmp_path, changes, backfill):
    """Whatever is told of one of them: also by a rule that asks for its age, with a keep, and where ends must settle."""
    ended = world.clock.now() - DAY
    jobs = [build(world, app, f"build{number}", at=ended, expire_in=7 * DAY).jobs[0] for number in range(3)]
    await retell(world, app, jobs[1], **changes)
    policy = replace(QUICK, backfill=backfill, settle=timedelta(hours=6))
    aged = rule(keep=KEPT, max_age=timedelta(days=30))
    async with rig(world, tmp_path, aged, policy=policy, keep_token=TOKEN) as daemon:
        report = await daemon.sync()
        assert (report.problems, report.unmirrored) == ([], 0)
        assert daemon.mirrored.keys() == {job.id for job in jobs}
        assert (await daemon.sync()).published == 0


async def test_an_end_weeks_ahead_is_not_waited_for(world, app, tmp_path):
    """Ends must settle, and this one would not for weeks; an hour ahead is a clock's difference, and waited for."""
    ended = world.clock.now() - DAY
    weeks, minutes = (build(world, app, name, at=ended).jobs[0] for name in ("weeks", "minutes"))
    minutes.finished_at = world.clock.now() + timedelta(minutes=20)
    await retell(world, app, weeks, finished_at=(world.clock.now() + 20 * DAY).isoformat())
    async with rig(world, tmp_path, rule(), policy=replace(QUICK, settle=timedelta(hours=6))) as daemon:
        await daemon.sync()
        assert daemon.mirrored.keys() == {weeks.id}


@pytest.mark.parametrize("end", [FARTHER, FAR, "2999-01-01T00:00:00Z"])
async def test_an_end_that_cannot_be_holds_no_link(world, app, tmp_path, end):
    """The newest job would never be the newest again, and its day would be that of no job."""
    ended = world.clock.now() - DAY
    first, last = (build(world, app, "build", at=ended + hours * timedelta(hours=1)).jobs[0] for hours in (0, 2))
    await retell(world, app, first, finished_at=end)
    plain = rule(path="{project}/{date}/{job_id}")
    linking = replace(plain.publish, latest=Template.parse("{project}/latest", needs_id=False))
    async with rig(world, tmp_path, replace(plain, publish=linking)) as daemon:
        await daemon.sync()
    tree = tmp_path / "store/tree/acme/app"
    assert (tree / "latest").resolve(strict=True).name == str(last.id)
    assert (tree / ended.astimezone(UTC).strftime("%Y-%m-%d") / str(first.id) / "artifacts.zip").is_file()


async def test_a_name_of_half_a_character_is_shown_whole(world, app, tmp_path):
    """In the manifest, in the path, in the state: nothing that could not be written."""
    (job,) = build(world, app, "build").jobs
    await retell(world, app, job, name=HALF)
    async with rig(world, tmp_path, rule(jobs=["build *"])) as daemon:
        await daemon.sync()
        queued = await daemon.transfer(job)
        assert queued.transfer.job.name == "build \ufffdd800"
        (manifest,) = tmp_path.glob("store/tree/**/.artifact-sync.json")
        assert "build \ufffdd800" in json.dumps(json.loads(manifest.read_text()), ensure_ascii=False)


def projects(first: int, many: int = 100) -> list[dict[str, object]]:
    """A page of them, with ascending ids."""
    return [{"id": number, "path_with_namespace": f"acme/p{number}"} for number in range(first, first + many)]


def endless(pages: Callable[[int], list[dict[str, object]]]) -> AbstractAsyncContextManager[RawServer]:
    """A server whose list has another page at another place behind each."""
    numbers = count(1)

    def play(_: Request) -> list[bytes]:
        number = next(numbers)
        link = f'Link: <http://x/api/v4/groups/acme/projects?cursor=c{number}>; rel="next"'
        return [json_answer(pages(number), link)]

    return raw_server(play)


async def test_a_list_of_ever_more_projects_ends_at_its_bound():
    """It is told by the group's name; what was seen by then is known, and the other rules' projects too."""
    rules = [rule("acme/**"), rule("acme/exact", name="other")]

    async with endless(lambda number: projects(number * 100)) as server, client_of(server.url) as client:
        resolved = await resolve(client, rules, most=1000)
        assert len(server.requests) == 1 + 11
    (error,) = (resolved.failures[subject] for subject in ("acme/",))
    assert isinstance(error, Refused)
    assert "GET /api/v4/groups/acme/projects: more than 1000 projects" in str(error)
    assert error.hint
    assert len(resolved.projects) == 1000


async def test_a_list_of_the_same_projects_under_ever_new_links_ends():
    """Also where each page mixes them anew."""

    def mixed(number: int) -> list[dict[str, object]]:
        known = [project for first in range(1, 50, 10) for project in projects(first, 10)]
        return known[number % 7 :: 7] if number > 5 else known[number * 10 - 10 : number * 10]

    async with endless(mixed) as server, client_of(server.url) as client:
        resolved = await resolve(client, [rule("acme/**")])
        assert len(server.requests) == 5 + 3
    assert "the same projects again and again" in str(resolved.failures["acme/"])
    assert len(resolved.projects) == 50


async def test_a_list_of_monstrous_paths_ends():
    """Each project is one, and their texts alone would fill the memory."""
    huge = "x" * (16 << 20)

    def monstrous(number: int) -> list[dict[str, object]]:
        return [{"id": number, "path_with_namespace": f"other/{huge}"}]

    async with endless(monstrous) as server, client_of(server.url, timeout=30.0) as client:
        resolved = await resolve(client, [rule("acme/**")])
        assert len(server.requests) <= 33
    assert "beyond all measure" in str(resolved.failures["acme/"])


async def test_what_moved_is_remembered_up_to_a_bound(world):
    """Ever more pipelines that all moved in one moment: every one comes, and so many are in memory."""
    moment = world.clock.now().isoformat()

    def play(request: Request) -> list[bytes]:
        page = int(request.target.rpartition("cursor=")[2]) if "cursor=" in request.target else 0
        rows = [{"id": page * 30_000 + number, "updated_at": moment} for number in range(1, 30_001)]
        link = f'Link: <http://x/api/v4/projects/1/pipelines?cursor={page + 1}>; rel="next"'
        return [json_answer(rows, *([link] if page < 3 else []))]

    async with raw_server(play) as server, client_of(server.url, timeout=30.0) as client:
        movement = Movement(client, world.clock, 1, after=None)
        assert sum([len(page) async for page in movement.pages()]) == 120_000
    assert len(movement.looked_at) == 100_000


async def test_a_large_group_is_listed_whole():
    """A hundred thousand projects are none too many, and page by page none is missing."""
    last = 1_000

    def play(request: Request) -> list[bytes]:
        page = int(request.target.rpartition("cursor=")[2] or 0) if "cursor=" in request.target else 0
        link = f'Link: <http://x/api/v4/groups/acme/projects?cursor={page + 1}>; rel="next"'
        return [json_answer(projects(page * 100 + 1), *([link] if page + 1 < last else []))]

    async with raw_server(play) as server, client_of(server.url) as client:
        resolved = await resolve(client, [rule("acme/**", "!acme/p7*")])
    assert not resolved.failures
    assert Project(id=100_000, path_with_namespace="acme/p100000") in resolved.projects.values()

"""Links to the newest publication, through the whole engine."""

import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from artifact_sync.core.events import LatestFailed, LatestMoved
from artifact_sync.core.model import Candidate
from artifact_sync.core.newest import LatestBy
from artifact_sync.core.paths import Template
from artifact_sync.core.planning import plan
from artifact_sync.core.rules import Rule, explain
from artifact_sync.ports import Publication, TransferState
from artifact_sync.simulator import SimJob, SimProject, World
from tests.integration.engine.engine_harness import asked, build, downloads, rig, rule, running, until

#: Before the test begins, and so soon that a poll looks for what has moved since.
BEGIN = timedelta(minutes=-5)
STEP = timedelta(seconds=20)
LATEST = "{project}/{ref}/{job}/latest"


def linking(latest: str = LATEST, by: LatestBy = LatestBy.FINISHED, **more) -> Rule:
    """A rule with a link."""
    plain = rule(**more)
    template = Template.parse(latest, needs_id=False)
    return replace(plain, publish=replace(plain.publish, latest=template, latest_by=by))


def made(world: World, app: SimProject, steps: int, ref: str = "main", **more) -> SimJob:
    """A job that ended so many steps after the beginning."""
    (job,) = build(world, app, "build", ref=ref, at=app.created_at + BEGIN + steps * STEP, **more).jobs
    return job


def at(path: Path, link: str = "acme/app/main/build/latest") -> int | None:
    """The job that the link leads to."""
    there = path / "store/tree" / link
    return int(there.resolve(strict=True).name) if there.is_symlink() else None


def arrived(path: Path, job: SimJob) -> bool:
    """Whether the link leads to the job."""
    return at(path) == job.id


async def test_the_link_is_at_the_job_that_ended_last(world, app, tmp_path):
    """By ref, and not at what has the highest id."""
    first, second = made(world, app, 5), made(world, app, 1)
    branch = made(world, app, 0, ref="fix/1")
    async with rig(world, tmp_path, linking()) as daemon:
        await daemon.sync()
        assert at(tmp_path) == first.id < second.id
        assert at(tmp_path, "acme/app/fix%2F1/build/latest") == branch.id
        assert {event.link for event in daemon.of(LatestMoved)} == {
            "acme/app/main/build/latest",
            "acme/app/fix%2F1/build/latest",
        }
        late = made(world, app, 3)
        await daemon.sync()
        assert at(tmp_path) == first.id
        assert late.id in daemon.mirrored
        newest = made(world, app, 9)
        await daemon.sync()
        assert at(tmp_path) == newest.id


async def test_the_daemon_moves_it_as_jobs_come(world, app, tmp_path):
    """Without a pass or a start in between."""
    async with rig(world, tmp_path, linking()) as daemon, running(daemon):
        for step in (1, 2, 3):
            job = made(world, app, step)
            await until(partial(arrived, tmp_path, job))
    assert (tmp_path / "store/tree/acme/app/main/build/latest/artifacts.zip").is_file()


async def test_a_link_that_a_rule_asks_for_later_needs_no_download(world, app, tmp_path):
    """Not even of what GitLab has deleted: what is here is known, and so is when it ended."""
    older = made(world, app, 1)
    newest = made(world, app, 2)
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    assert at(tmp_path) is None
    world.erase(newest)
    before = len(downloads(world))
    asked_before = len(world.requests)
    async with rig(world, tmp_path, linking()) as daemon:
        assert len(world.requests) == asked_before
        assert at(tmp_path) == newest.id
        assert [event.dest for event in daemon.of(LatestMoved)] == [f"acme/app/main/build/{newest.id}"]
        await daemon.sync()
    assert len(downloads(world)) == before
    assert asked(world, "/artifacts/") == []
    assert set(daemon.mirrored) == {older.id, newest.id}


async def test_another_order_holds_from_the_next_start_on(world, app, tmp_path):
    """By version the link goes back to the higher one, of what is there."""
    path = "acme/app/build/latest"
    high = made(world, app, 1, ref="v1.10.0", tag=True)
    low = made(world, app, 2, ref="v1.9.9", tag=True)
    async with rig(world, tmp_path, linking("{project}/{job}/latest")) as daemon:
        await daemon.sync()
    assert at(tmp_path, path) == low.id
    async with rig(world, tmp_path, linking("{project}/{job}/latest", LatestBy.VERSION)) as daemon:
        assert at(tmp_path, path) == high.id
        made(world, app, 9, ref="nightly", tag=True)
        made(world, app, 9, ref="v1.9.10", tag=True)
        await daemon.sync()
    assert at(tmp_path, path) == high.id


async def test_a_start_with_nothing_to_do_moves_nothing(world, app, tmp_path):
    """However often."""
    made(world, app, 1)
    async with rig(world, tmp_path, linking()) as daemon:
        await daemon.sync()
    link = tmp_path / "store/tree/acme/app/main/build/latest"
    inode = link.lstat().st_ino
    async with rig(world, tmp_path, linking()) as daemon:
        assert daemon.of(LatestMoved) == []
    assert link.lstat().st_ino == inode


@pytest.mark.parametrize("harm", ["removed", "dangling", "elsewhere"])
async def test_a_start_repairs_a_link_that_somebody_broke(world, app, tmp_path, harm):
    """To the newest that is there."""
    made(world, app, 1)
    newest = made(world, app, 2)
    async with rig(world, tmp_path, linking()) as daemon:
        await daemon.sync()
    link = tmp_path / "store/tree/acme/app/main/build/latest"
    link.unlink()
    if harm == "dangling":
        link.symlink_to("gone")
    elif harm == "elsewhere":
        link.symlink_to("/etc")
    async with rig(world, tmp_path, linking()):
        assert at(tmp_path) == newest.id


async def test_a_start_leads_past_a_publication_that_is_gone(world, app, tmp_path):
    """What somebody deleted here and GitLab has no more is no dead end; what comes back is the newest again."""
    older, newest = made(world, app, 1), made(world, app, 2)
    async with rig(world, tmp_path, linking()) as daemon:
        await daemon.sync()
    shutil.rmtree(tmp_path / f"store/tree/acme/app/main/build/{newest.id}")
    async with rig(world, tmp_path, linking()) as daemon:
        assert at(tmp_path) == older.id
        await daemon.sync()
        assert at(tmp_path) == newest.id


async def test_a_publication_that_was_not_recorded_yet_gets_its_link_at_the_start(world, app, tmp_path):
    """Killed before the link was swapped: the next start goes through the same step again."""
    job = made(world, app, 1)
    async with rig(world, tmp_path, linking()) as daemon:
        now = daemon.clock.now()
        project = await daemon.remote.project("acme/app")
        candidate = Candidate(project=project, job=await daemon.remote.job(project.id, job.id), retried=False)
        await daemon.state.want(plan(candidate, explain(candidate, daemon.rules, now)), now=now)
        queued = await daemon.queue.claim(now)
        assert queued is not None
        files = await daemon.fetcher.fetch(queued)
        await daemon.queue.stage(queued.id, files)
        await daemon.store.publish(Publication(transfer=queued.transfer, files=files, at=now))
    assert at(tmp_path) is None
    async with rig(world, tmp_path, linking()) as daemon:
        assert at(tmp_path) == job.id
        assert await daemon.in_state(TransferState.PUBLISHED) == 1
    assert len(downloads(world)) == 1


async def test_what_is_in_a_links_way_is_told_and_loses_nothing(world, app, tmp_path):
    """The artifacts are mirrored, once; the link comes when the way is free."""
    in_the_way = tmp_path / "store/tree/acme/app/main/build/latest"
    job = made(world, app, 1)
    async with rig(world, tmp_path, linking()) as daemon:
        in_the_way.mkdir(parents=True)
        report = await daemon.sync()
        assert report.complete
        assert set(daemon.mirrored) == {job.id}
        (failed,) = daemon.of(LatestFailed)
        assert failed.dest == f"acme/app/main/build/{job.id}"
        assert "something else stands there" in failed.error
        (trouble,) = (await daemon.state.summary()).troubles
        assert trouble.subject == "link acme/app/main/build/latest"
        in_the_way.rmdir()
        newer = made(world, app, 2)
        await daemon.sync()
        assert at(tmp_path) == newer.id
        assert (await daemon.state.summary()).troubles == ()
    assert len(downloads(world)) == 2


async def test_two_rules_share_a_link(world, app, tmp_path):
    """The newest of both, each at its own place."""
    older = made(world, app, 1, ref="main")
    newest = made(world, app, 2, ref="v1")
    rules = [
        linking("{project}/newest", name="one", refs=["main"]),
        linking("{project}/newest", name="two", refs=["v*"], path="two/{job_id}"),
    ]
    async with rig(world, tmp_path, *rules) as daemon:
        await daemon.sync()
    assert at(tmp_path, "acme/app/newest") == newest.id
    assert (tmp_path / f"store/tree/acme/app/main/build/{older.id}").is_dir()

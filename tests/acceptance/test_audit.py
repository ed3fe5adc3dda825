"""`artifact-sync audit` as a process: it finds what no pass will find any more, and has it fetched."""

import json
import signal

import pytest
from anyio import to_thread

from artifact_sync.simulator.faults import Answer, Fault
from tests.acceptance.harness import started, wait_for
from tests.acceptance.living import HOUR, Place, place


@pytest.fixture
async def scene(tmp_path):
    """Six jobs that ended some time ago, all mirrored."""
    async with place(tmp_path, more="poll: {interval: 1s}\n") as made:
        for number in range(3):
            made.build("build", "package", ago=(4 - number) * HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        yield made


async def test_nothing_is_missing(scene: Place):
    """What is mirrored is not missing: 0, figures of each project and of all, and nothing was queued."""
    ran = await scene.run("audit")
    assert (ran.code, ran.err) == (0, "")
    assert "audited   acme/app: 6 jobs, 6 selected, none missed" in ran.out
    assert ran.out.endswith("Audited 1 project, 6 jobs, 6 selected: none missed.\n")
    assert len(scene.asked("GET", "/artifacts")) == 6


async def test_what_was_missed_is_found_and_fetched(scene: Place):
    """A job that discovery passed and the state does not know: 5, named, queued; the next sync fetches it."""
    lost = next(job for job in scene.world.jobs.values() if job.name == "package")
    scene.forget(lost)
    # Nothing but an audit finds it again.
    assert (await scene.run("sync", "--strict")).code == 0
    ran = await scene.run("audit", "--json")
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 5
    assert [event["job_id"] for event in told if event["event"] == "selected"] == [lost.id]
    summary = told[-1]
    assert (summary["event"], summary["jobs"], summary["selected"]) == ("summary", 6, 6)
    assert (summary["missing"], summary["ahead"], summary["complete"]) == (1, 0, False)
    before = len(scene.asked("GET", "/artifacts"))
    assert (await scene.run("sync", "--strict")).code == 0
    assert scene.asked("GET", "/artifacts")[before:] == [f"/api/v4/projects/1/jobs/{lost.id}/artifacts"]
    assert (await scene.run("audit")).code == 0
    shown = (await scene.run("status")).out
    assert "audits:    2 projects, 12 jobs: 1 had been missed" in shown
    assert "7 download" in shown
    assert " audit" in shown.partition("requests:")[2].partition("\n")[0]


async def test_what_is_new_is_not_missed(scene: Place):
    """A job that ended since the last pass is told apart; without a daemon nobody fetches it, so it is 5."""
    scene.build("build")
    ran = await scene.run("audit")
    assert ran.code == 5
    assert "none missed, 1 new" in ran.out
    assert "no daemon runs, and `artifact-sync sync` fetches it" in ran.out


async def test_beside_the_daemon(scene: Place):
    """The daemon has the lock, and fetches what the audit puts into its queue; what is new to both is the daemon's."""
    lost = next(job for job in scene.world.jobs.values() if job.name == "build")
    scene.forget(lost)
    with started("run", cwd=scene.folder) as daemon:
        await to_thread.run_sync(wait_for, daemon, "project.found")
        ran = await scene.run("audit")
        assert ran.code == 5
        assert f"Put into the queue; process {daemon.pid} comes to it within minutes." in ran.out
        await to_thread.run_sync(wait_for, daemon, "transfer.published")
        assert (await scene.run("audit")).code == 0
        daemon.send_signal(signal.SIGTERM)
        await to_thread.run_sync(daemon.communicate)
    assert len(scene.asked("GET", f"/jobs/{lost.id}/artifacts")) == 2


async def test_without_a_state_nothing_is_made(tmp_path):
    """Before the first pass everything is new: 5, and neither a state nor a store appears."""
    async with place(tmp_path) as made:
        made.build("build")
        ran = await made.run("audit")
    assert ran.code == 5
    assert "nothing was put into the queue" in ran.out
    assert [path.name for path in tmp_path.iterdir()] == ["artifact-sync.yaml"]


async def test_a_project_that_cannot_be_asked(scene: Place):
    """One project is audited, one is not there: 1, and the one that is not there is named."""
    config = scene.folder / "artifact-sync.yaml"
    config.write_text(config.read_text().replace("[acme/app]", "[acme/app, acme/none]"))
    ran = await scene.run("audit")
    assert ran.code == 1
    assert "failed    acme/none: " in ran.out
    assert "audited   acme/app: 6 jobs" in ran.out
    assert "1 project could not be asked" in ran.out


async def test_a_listing_that_is_refused(scene: Place):
    """The only project's jobs may not be read: 1 with the reason, and no figures that would look like a proof."""
    scene.world.faults.add(
        Fault(path="/projects/1/jobs$", method="GET", times=None, action=Answer(status=403, body="{}"))
    )
    ran = await scene.run("audit")
    assert ran.code == 1
    assert "none missed" not in ran.out
    assert "403" in ran.err

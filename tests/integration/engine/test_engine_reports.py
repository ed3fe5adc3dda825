"""Reports and logs beside the archive, from a server that gives reports out and from one that does not."""

import gzip
from datetime import timedelta

import pytest

from artifact_sync.core.events import TransferEnded
from artifact_sync.core.rules import Fetch
from artifact_sync.errors import Outcome
from artifact_sync.ports import QueuedTransfer, TransferState
from artifact_sync.simulator import JobSpec, SimJob, SimProject, World, small
from artifact_sync.simulator.faults import Fault, SignInPage
from tests.integration.engine.engine_harness import Rig, asked, digests, downloads, rig, rule, running

REPORTS = ("junit", "sast", "lsif", "cyclonedx")


def ended(world: World, app: SimProject, *names: str, reports: tuple[str, ...] = REPORTS) -> list[SimJob]:
    """Jobs of one pipeline that have ended, each with an archive and reports."""
    specs = [JobSpec(name, archive=small(name, size=5000), reports=reports) for name in names]
    return [world.finish(job) for job in world.add_pipeline(app, "main", specs).jobs]


def published(daemon: Rig, queued: QueuedTransfer) -> dict[str, bytes]:
    """What stands at its destination, by name."""
    place = daemon.path / "store" / "tree" / queued.transfer.dest
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


async def test_reports_of_every_format_are_published_with_the_archive(world, app, tmp_path):
    """Byte for byte as the server has them, gzip, raw and zip."""
    world.report_downloads = True
    (job,) = ended(world, app, "test")
    async with rig(world, tmp_path, rule(fetch=Fetch(reports=REPORTS))) as daemon:
        report = await daemon.sync()
        files = published(daemon, await daemon.transfer(job))
        counts = (await daemon.state.summary()).counts
    assert report.complete
    assert {kind: files[f"reports/{kind}"] for kind in REPORTS} == {kind: job.report(kind) for kind in REPORTS}
    assert gzip.decompress(files["reports/junit"]).startswith(b"<?xml")
    assert daemon.mirrored == digests([job])
    assert counts["outcome.published"] == 1


@pytest.mark.parametrize("kind", REPORTS)
async def test_an_older_server_s_archive_is_not_taken_for_a_report(world, app, tmp_path, kind):
    """The archives are mirrored, the server is asked for one report alone, and a second pass asks for none."""
    jobs = ended(world, app, *"abcdef", reports=(kind,))
    async with rig(world, tmp_path, rule(fetch=Fetch(reports=(kind,))), resumes=0) as daemon:
        await daemon.sync()
        names = {file.name for job in jobs for file in (await daemon.transfer(job)).files}
        assert await daemon.in_state(TransferState.PUBLISHED) == len(jobs)
        many = len([seen for seen in downloads(world) if "file_type" in seen.query])
        again = await daemon.sync()
    assert (names, daemon.mirrored) == ({"artifacts.zip"}, digests(jobs))
    # Those that are on their way when the first answer comes have asked as well.
    assert 1 <= many <= daemon.policy.downloads
    assert len([seen for seen in downloads(world) if "file_type" in seen.query]) == many
    assert (again.published, again.complete) == (0, True)


async def test_a_rule_of_reports_alone_is_disabled_on_an_older_server(world, app, tmp_path):
    """It ends so once, is counted, and another pass takes it up when the server can."""
    (job,) = ended(world, app, "test")
    mine = rule(fetch=Fetch(archive=False, reports=("junit",)))
    async with rig(world, tmp_path, mine) as daemon:
        report = await daemon.sync()
        (end,) = daemon.of(TransferEnded)
        counts = (await daemon.state.summary()).counts
        assert (report.failed, report.complete, (await daemon.transfer(job)).state) == (1, False, TransferState.FAILED)
    assert (end.outcome, end.retry_at, counts["outcome.disabled here"]) == (Outcome.DISABLED, None, 1)
    assert "does not give out reports" in end.hint
    world.report_downloads = True
    async with rig(world, tmp_path, mine) as daemon:
        report = await daemon.sync()
        assert published(daemon, await daemon.transfer(job))["reports/junit"] == job.report("junit")
    assert report.complete


async def test_a_report_that_comes_late_joins_what_is_published(world, app, tmp_path):
    """Within ten minutes it is looked for again, and nothing that is here is downloaded again."""
    world.report_downloads = True
    (job,) = ended(world, app, "test", reports=())
    async with rig(world, tmp_path, rule(fetch=Fetch(reports=("junit",)))) as daemon, running(daemon):
        await daemon.reach(lambda: len(daemon.mirrored) == 1)
        world.upload(job, reports=("junit",))
        await daemon.reach(lambda: len(daemon.of(TransferEnded)) == 2)
        assert published(daemon, await daemon.transfer(job))["reports/junit"] == job.report("junit")
    assert [seen.query.get("file_type") for seen in downloads(world, job)] == [None, "junit"]


async def test_a_log_that_is_not_listed_yet_must_be_the_same_twice(world, app, tmp_path):
    """One pass right behind the job's end brings it, with the archive; it is archived minutes later."""
    world.trace_archived_after = timedelta(minutes=2)
    (job,) = ended(world, app, "test", reports=())
    async with rig(world, tmp_path, rule(fetch=Fetch(trace=True))) as daemon:
        await daemon.sync()
        assert published(daemon, await daemon.transfer(job))["job.log"] == job.trace
    assert (len(downloads(world, job)), len(asked(world, "/trace$"))) == (1, 2)


async def test_every_end_is_counted_by_its_name(world, app, tmp_path):
    """Each attempt, over a restart as well."""
    ended(world, app, "a", "b", reports=())
    world.faults.add(Fault(action=SignInPage(), path="/artifacts$", times=2))
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    ended(world, app, "c", reports=())
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        counts = (await daemon.state.summary()).counts
    assert {name: number for name, number in counts.items() if name.startswith("outcome.")} == {
        "outcome.published": 3,
        "outcome.not an archive": 2,
    }

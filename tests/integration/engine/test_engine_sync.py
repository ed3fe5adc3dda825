"""A pass takes everything that the rules select, byte for byte, and a second one nothing more."""

from datetime import timedelta

import pytest

from artifact_sync.core.events import ProjectFailed, Selected
from artifact_sync.core.rules import Fetch
from artifact_sync.errors import CredentialRefused, NotFound, Outcome
from artifact_sync.ports import TransferState
from artifact_sync.simulator import JobSpec, SimToken, expected, small
from artifact_sync.simulator.faults import Answer, Fault
from tests.integration.engine.engine_harness import asked, build, digests, downloads, rig, rule, staging


@pytest.fixture
def projects(world):
    """Four projects in nested groups, each with two jobs of archives."""
    made = [world.add_project(path) for path in ("acme/app", "acme/lib/core", "acme/lib/deep/down", "other/tool")]
    for project in made:
        build(world, project, "build", "package")
    return made


@pytest.mark.parametrize(
    ("selectors", "taken"),
    [
        (("acme/app",), {0}),
        ((4,), {3}),
        (("acme/lib/*",), {1}),
        (("acme/lib/**",), {1, 2}),
        (("acme/**", "!acme/lib/core"), {0, 2}),
        (("**",), {0, 1, 2, 3}),
        (("*/tool", 1), {0, 3}),
    ],
)
async def test_all_that_the_rules_select_is_published(world, projects, tmp_path, selectors, taken):
    """Projects by path, id, glob and group, and none besides."""
    async with rig(world, tmp_path, rule(*selectors)) as daemon:
        report = await daemon.sync()
    wanted = digests([job for index in taken for job in projects[index].jobs])
    assert daemon.mirrored == wanted
    assert (report.projects, report.published, report.complete) == (len(taken), len(wanted), True)
    assert staging(tmp_path) == {}


async def test_everything_there_is(world, projects, tmp_path):
    """With a rule for everything the mirror is what the world expects."""
    async with rig(world, tmp_path, rule("**")) as daemon:
        await daemon.sync()
    assert daemon.mirrored == expected(world)


async def test_a_second_pass_is_cheap(world, projects, tmp_path):
    """One request to find the project and two listings of what moved; no download, also in a new process."""
    async with rig(world, tmp_path, rule("acme/app")) as daemon:
        await daemon.sync()
    world.requests.clear()
    async with rig(world, tmp_path, rule("acme/app")) as daemon:
        report = await daemon.sync()
    assert [seen.path for seen in world.requests] == [
        "/api/v4/projects/acme%2Fapp",
        "/api/v4/projects/1/pipelines",
        "/api/v4/projects/1/pipelines",
    ]
    assert (report.published, report.complete) == (0, True)


async def test_a_pass_waits_for_no_other_time(world, app, tmp_path):
    """What the daemon would try again in hours is tried now."""
    jobs = build(world, app, "build", "package").jobs
    world.faults.add(Fault(action=Answer(status=503), path="/artifacts$", times=None))
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        await daemon.queue.revive()
        now = daemon.clock.now()
        while (queued := await daemon.queue.claim(now)) is not None:
            await daemon.queue.fail(queued.id, Outcome.RETRY_LATER, "503", retry_at=now + timedelta(hours=6))
        world.faults.clear()
        await daemon.sync()
    assert daemon.mirrored == digests(jobs)


async def test_each_pass_reports_what_it_did_itself(world, projects, tmp_path):
    """The second report of one engine does not count what the first had published."""
    async with rig(world, tmp_path, rule("acme/app")) as daemon:
        first = await daemon.sync()
        second = await daemon.sync()
    assert (first.published, second.published, second.published_bytes) == (2, 0, 0)


async def test_retried_jobs_are_left_out(world, app, tmp_path):
    """Of a job that was retried, by default only the retry is taken."""
    old = build(world, app, "build").jobs[0]
    new = world.finish(world.retry(old))
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([new])


async def test_retried_jobs_are_taken_where_a_rule_says_so(world, app, tmp_path):
    """With ``retried: true`` both are."""
    old = build(world, app, "build").jobs[0]
    new = world.finish(world.retry(old))
    async with rig(world, tmp_path, rule(retried=True)) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([old, new])


async def test_a_failed_retry_supersedes_too(world, app, tmp_path):
    """The success before it is superseded all the same."""
    old = build(world, app, "build").jobs[0]
    world.finish(world.retry(old), "failed")
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    assert daemon.mirrored == {}


@pytest.mark.parametrize("taken", [True, False])
async def test_child_pipelines(world, app, tmp_path, taken):
    """Jobs of child pipelines are found, and left out where a rule says so."""
    parent = build(world, app, "build")
    child = build(world, app, "docs", parent=parent)
    async with rig(world, tmp_path, rule(child_pipelines=taken)) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([*parent.jobs[:1], *(child.jobs if taken else [])])


async def test_statuses(world, app, tmp_path):
    """A failed job's artifacts are taken only where a rule says so."""
    specs = [JobSpec("build", archive=small(1), upload="always"), JobSpec("test", archive=small(2), upload="always")]
    good, bad = world.add_pipeline(app, "main", specs).jobs
    world.finish(good)
    world.finish(bad, "failed")
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([good])
    async with rig(world, tmp_path / "second", rule(statuses=frozenset({"failed"}))) as daemon:
        await daemon.sync()
    assert daemon.mirrored == digests([bad])


async def test_a_job_without_an_archive_is_no_transfer(world, app, tmp_path):
    """Success with nothing to fetch is normal: nothing is queued and the pass is complete."""
    world.finish(world.add_pipeline(app, "main", [JobSpec("lint")]).jobs[0])
    async with rig(world, tmp_path, rule()) as daemon:
        report = await daemon.sync()
    assert report.complete
    assert daemon.of(Selected) == []
    assert downloads(world) == []


async def test_two_items_of_a_job_are_one_publication(world, app, tmp_path):
    """Archive, file and log come under one manifest, at one moment."""
    world.trace_archived_after = timedelta()
    job = build(world, app, "build").jobs[0]
    fetch = Fetch(archive=True, files=("VERSION",), trace=True)
    async with rig(world, tmp_path, rule(fetch=fetch)) as daemon:
        report = await daemon.sync()
        queued = await daemon.transfer(job)
    assert report.published == 1
    assert {file.name for file in queued.files} == {"artifacts.zip", "files/VERSION", "job.log"}
    (manifest,) = (tmp_path / "store" / "tree").rglob(".artifact-sync.json")
    assert manifest.parent == tmp_path / "store" / "tree" / queued.transfer.dest
    assert (manifest.parent / "job.log").read_bytes() == job.trace
    assert daemon.mirrored == digests([job])


async def test_two_rules_of_one_destination_share_it(world, app, tmp_path):
    """One transfer with the union of their items, under both names."""
    world.trace_archived_after = timedelta()
    job = build(world, app, "build").jobs[0]
    both = rule(name="a"), rule(name="b", fetch=Fetch(archive=False, trace=True))
    async with rig(world, tmp_path, *both) as daemon:
        report = await daemon.sync()
        queued = await daemon.transfer(job)
    assert (report.published, queued.transfer.rules) == (1, ("a", "b"))
    assert {file.name for file in queued.files} == {"artifacts.zip", "job.log"}


async def test_an_invisible_project_stops_nobody(world, projects, tmp_path):
    """It is reported with its name, the others are mirrored, and the pass is not called complete."""
    async with rig(world, tmp_path, rule("acme/secret", "acme/app")) as daemon:
        report = await daemon.sync()
    assert daemon.mirrored == digests(projects[0].jobs)
    assert [event.project for event in daemon.of(ProjectFailed)] == ["acme/secret"]
    assert [type(problem) for problem in report.problems] == [NotFound]
    assert not report.complete


async def test_a_project_that_vanishes_loses_nothing(world, projects, tmp_path):
    """404 for what was mirrored is no deletion: files and state stay as they are."""
    both = rule("acme/app", "acme/lib/core")
    async with rig(world, tmp_path, both) as daemon:
        await daemon.sync()
    before = daemon.mirrored
    projects[0].visible = False
    async with rig(world, tmp_path, both) as daemon:
        report = await daemon.sync()
        assert await daemon.in_state(TransferState.PUBLISHED) == 4
    assert daemon.mirrored == before == digests([*projects[0].jobs, *projects[1].jobs])
    assert len(report.problems) == 1


async def test_no_project_at_all_is_an_error(world, tmp_path):
    """A pass that could look at nothing says why, instead of saying that all is done."""
    async with rig(world, tmp_path, rule("acme/nowhere")) as daemon:
        with pytest.raises(NotFound):
            await daemon.sync()


async def test_one_project_whose_list_fails_stops_nobody(world, projects, tmp_path):
    """The others are mirrored; the next pass brings the rest."""
    world.faults.add(Fault(action=Answer(status=500), path="/projects/1/jobs$", times=None))
    both = rule("acme/app", "acme/lib/core")
    async with rig(world, tmp_path, both) as daemon:
        report = await daemon.sync()
        assert daemon.mirrored == digests(projects[1].jobs)
        assert len(report.problems) == 1
        world.faults.clear()
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests([*projects[0].jobs, *projects[1].jobs])


async def test_a_refused_credential_ends_the_pass(world, projects, tmp_path):
    """A token that is revoked is told as such, whoever meets it first."""
    world.add_token(SimToken(value=world.token, revoked=True))
    async with rig(world, tmp_path, rule("acme/app")) as daemon:
        with pytest.raises(CredentialRefused):
            await daemon.sync()


async def test_a_credential_refused_in_mid_pass_ends_it(world, projects, tmp_path):
    """Also when the projects were found before and nothing is left to download: it is not one project's problem."""
    async with rig(world, tmp_path, rule("acme/**")) as daemon:
        await daemon.sync()
        refused = Answer(status=401, body='{"message":"401 Unauthorized"}')
        world.faults.add(Fault(action=refused, path="/pipelines$", times=None, nth=2))
        with pytest.raises(CredentialRefused):
            await daemon.sync()


async def test_a_renamed_project_goes_on_under_the_path_that_the_rule_names(world, projects, tmp_path):
    """GitLab leads from the former path to the project, also in a pass that never saw it under that one."""
    both = rule("acme/app", "acme/lib/core")
    world.move(projects[0], "acme/renamed")
    job = build(world, projects[0], "build").jobs[0]
    async with rig(world, tmp_path, both) as daemon:
        report = await daemon.sync()
        assert (report.projects, report.complete) == (2, True)
        assert (await daemon.transfer(job)).transfer.dest.startswith("acme/renamed/")
        explanation = await daemon.engine.explain(projects[0].id, job.id)
    assert explanation.decisions[0].selected


async def test_an_excluded_project_is_no_failure(world, projects, tmp_path):
    """Though it is named, too."""
    async with rig(world, tmp_path, rule("acme/app", 2, "!acme/lib/core")) as daemon:
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(projects[0].jobs)


async def test_a_renamed_project_goes_on_under_its_id(world, app, tmp_path):
    """What was published stays where it is; new publications use the new path."""
    first = build(world, app, "build").jobs[0]
    async with rig(world, tmp_path, rule(app.id)) as daemon:
        await daemon.sync()
        world.move(app, "acme/renamed")
        second = build(world, app, "build").jobs[0]
        await daemon.sync()
        assert (await daemon.transfer(first)).transfer.dest.startswith("acme/app/")
        assert (await daemon.transfer(second)).transfer.dest.startswith("acme/renamed/")
    assert daemon.mirrored == digests([first, second])
    assert len(asked(world, "/artifacts$")) == 2

"""An audit finds what discovery missed, tells it from what discovery had not come to, and forgets what it has listed."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from artifact_sync.core.events import Audited, Selected
from artifact_sync.core.model import Artifact, Job, KeepResult, Pipeline, Project
from artifact_sync.core.rules import Keep, KeepPolicy
from artifact_sync.engine.audit import audit
from artifact_sync.engine.means import Means
from artifact_sync.errors import Refused
from artifact_sync.ports import Page, Priority, TransferState
from artifact_sync.simulator import JobSpec, SimJob, SimProject, small
from tests.integration.engine.engine_harness import DAY, QUICK, Rig, build, digests, history, rig, rule


async def audited(daemon: Rig, project: SimProject, **other: object) -> Audited:
    """One audit of a project."""
    found = await daemon.remote.project(project.id)
    means = Means(
        remote=daemon.remote,
        state=daemon.state,
        clock=daemon.clock,
        rules=daemon.rules,
        policy=daemon.policy,
        emit=daemon.events.append,
    )
    return await audit(found, replace(means, **other))  # type: ignore[arg-type]  # checked by what it is used for


async def forget(daemon: Rig, job: SimJob) -> None:
    """As if the job had never been found."""

    def work(database):
        assert database.execute("DELETE FROM transfer WHERE job_id = ?", (job.id,)).rowcount == 1

    await daemon.state.write(work)


def wanted(daemon: Rig) -> list[int]:
    """Jobs that were selected, in order."""
    return [event.job_id for event in daemon.of(Selected)]


async def test_a_complete_mirror_has_nothing_missing(world, app, tmp_path):
    """Every job is counted, nothing is queued, and the listing has the lowest priority."""
    history(world, app, 230, start=world.clock.now() - 2 * DAY, step=timedelta(minutes=5))
    priorities = []
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        before = wanted(daemon)

        class Noted:
            """The remote, noting with which priority jobs are listed."""

            def __getattr__(self, name: str) -> object:
                return getattr(daemon.remote, name)

            def project_jobs(self, project_id: int, *, priority: Priority) -> AsyncIterator[Page[Job]]:
                priorities.append(priority)
                return daemon.remote.project_jobs(project_id, priority=priority)

        told = await audited(daemon, app, remote=Noted())
        assert wanted(daemon) == before
    assert (told.jobs, told.selected, told.missing, told.ahead) == (230, 23, 0, 0)
    assert daemon.of(Audited) == [told]
    assert priorities == [Priority.AUDIT]


async def test_missed_jobs_are_wanted_and_fetched(world, app, tmp_path):
    """Jobs that the state does not know though discovery passed them are missing, announced, and mirrored by the next pass."""
    jobs = history(world, app, 130, start=world.clock.now() - 2 * DAY, step=timedelta(minutes=5))
    lost = [jobs[0], jobs[120]]
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        for job in lost:
            await forget(daemon, job)
        daemon.events.clear()
        await daemon.sync()
        assert await daemon.state.find(app.id, lost[0].id) == ()
        told = await audited(daemon, app)
        assert (told.missing, told.ahead) == (2, 0)
        assert sorted(wanted(daemon)) == [job.id for job in lost]
        assert {(await daemon.transfer(job)).state for job in lost} == {TransferState.WANTED}
        assert (await audited(daemon, app)).missing == 0
        await daemon.sync()
        assert {(await daemon.transfer(job)).state for job in lost} == {TransferState.PUBLISHED}


async def test_a_missed_job_is_kept_as_well(world, app, tmp_path):
    """The keep of what an audit found is scheduled with it."""
    keep = Keep(policy=KeepPolicy.ALWAYS)
    async with rig(world, tmp_path, rule(keep=keep)) as daemon:
        await daemon.sync()
        build(world, app, "build", at=world.clock.now() - timedelta(minutes=40), expire_in=timedelta(hours=1))
        await audited(daemon, app)
        await daemon.sync()
        assert [entry.result async for entry in daemon.state.keeps()] == [KeepResult.KEPT]


async def test_what_discovery_has_not_come_to_is_not_missing(world, app, tmp_path):
    """Before the first pass, after the last one, in a watched pipeline, in one that moved since, with other rules."""
    async with rig(world, tmp_path, rule()) as daemon:
        build(world, app, "before")
        told = await audited(daemon, app)
        assert (told.missing, told.ahead) == (0, 1)
        manual = world.add_pipeline(
            app, "main", [JobSpec("build", archive=small(1)), JobSpec("sign", when="manual", archive=small(2))]
        )
        world.finish(manual.jobs[0])
        watched = build(world, app, "later", end=False).jobs[0]
        await daemon.sync()
        world.finish(watched)
        world.finish(world.play(manual.jobs[1]))
        build(world, app, "after")
        told = await audited(daemon, app)
        assert (told.missing, told.ahead) == (0, 3)
        await forget(daemon, manual.jobs[0])
        other = replace(daemon.policy, rules="others")
        told = await audited(daemon, app, policy=other)
        assert (told.missing, told.ahead) == (0, 1)


async def test_the_horizon_ends_it(world, app, tmp_path):
    """What ended before the horizon is not selected, and its pages are not listed."""
    history(world, app, 450, start=world.clock.now() - 45 * DAY, step=DAY / 10)
    async with rig(world, tmp_path, rule(), policy=replace(QUICK, backfill=4.95 * DAY)) as daemon:
        await daemon.sync()
        told = await audited(daemon, app)
    assert (told.jobs, told.missing) == (200, 0)
    assert told.selected == len(daemon.mirrored) == 4


async def test_triggered_pipelines_are_audited_where_a_rule_follows_them(world, app, tmp_path):
    """Those in another project, what they triggered in turn and their child pipelines; not where no rule asks for it."""
    parent = world.add_pipeline(app, "main", [JobSpec("build", archive=small(1))])
    elsewhere, further = world.add_project("other/two"), world.add_project("other/three")
    made = [world.add_pipeline(elsewhere, "main", [JobSpec("deploy", archive=small(2))], parent=parent)]
    made.append(world.add_pipeline(elsewhere, "main", [JobSpec("check", archive=small(3))], parent=made[0]))
    made.append(world.add_pipeline(further, "main", [JobSpec("ship", archive=small(4))], parent=made[0]))
    jobs = [job for pipeline in (parent, *made) for job in pipeline.jobs if job.spec.archive]
    world.finish_all(jobs)
    followed = rule(downstream=True)
    async with rig(world, tmp_path, followed) as daemon:
        await daemon.sync()
        assert daemon.mirrored == digests(jobs)
        told = await audited(daemon, app)
        assert (told.selected, told.missing, told.ahead) == (4, 0, 0)
        for job in jobs[1:]:
            await forget(daemon, job)
        # Discovery looks at those for a retry, for a while yet.
        told = await audited(daemon, app)
        assert (told.missing, told.ahead) == (0, 3)
        for job in jobs[1:]:
            await forget(daemon, job)
        await daemon.state.write(lambda database: database.execute("DELETE FROM watched_pipeline"))
        told = await audited(daemon, app)
        assert (told.missing, told.ahead) == (3, 0)
        for job in jobs[1:]:
            await forget(daemon, job)
        told = await audited(daemon, app, rules=(rule(),))
        assert told.missing == 0
        assert (await daemon.state.summary()).counts["audit.missing"] == 3


async def test_entries_that_are_not_understood_are_no_proof(world, app, tmp_path):
    """An audit that could not read every entry fails, after it has wanted what it could read."""
    build(world, app, "build")
    async with rig(world, tmp_path, rule()) as daemon:

        class Strange:
            """The remote, with an entry on each page that nobody understands."""

            def __getattr__(self, name: str) -> object:
                return getattr(daemon.remote, name)

            async def project_jobs(self, project_id: int, *, priority: Priority) -> AsyncIterator[Page[Job]]:
                async for page in daemon.remote.project_jobs(project_id, priority=priority):
                    yield replace(page, undecodable=1)

        with pytest.raises(Refused, match="1 entries not understood"):
            await audited(daemon, app, remote=Strange())
        assert len(wanted(daemon)) == 1


async def test_memory_does_not_grow_with_the_jobs(world, app, tmp_path):
    """A listing of many more jobs takes no more memory: pages are judged and forgotten."""
    async with rig(world, tmp_path, rule(jobs=["package"])) as daemon:
        await daemon.sync()
        project = await daemon.remote.project(app.id)

        async def peak(pages: int) -> int:
            gc.collect()
            tracemalloc.start()
            try:
                told = await audited(daemon, app, remote=Endless(project, pages))
                assert told.jobs == pages * 100
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        await peak(20)
        few, many = await peak(20), await peak(400)
    assert many < few + 256 * 1024


class Endless:
    """A remote with as many jobs as are asked for, made as they are listed. No rule wants any of them."""

    def __init__(self, project: Project, pages: int) -> None:
        self._pages = pages
        self._project = project

    async def project_jobs(self, project_id: int, *, priority: Priority) -> AsyncIterator[Page[Job]]:
        """Newest first."""
        assert priority is Priority.AUDIT
        for page in range(self._pages):
            top = (self._pages - page) * 100
            yield Page(items=tuple(job(top - number) for number in range(100)), next=str(page))


def job(number: int) -> Job:
    """With an archive, in a pipeline of its own."""
    pipeline = Pipeline(id=number, ref="main", sha=f"{number:040x}", status="success")
    return Job(
        id=number,
        name=f"build {number % 100}",
        status="success",
        ref="main",
        artifacts=(Artifact(file_type="archive", size=1),),
        pipeline=pipeline,
    )

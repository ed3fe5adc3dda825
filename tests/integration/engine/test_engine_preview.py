"""The plan is what a pass then does, and the explanation is what it did; neither changes anything."""

from dataclasses import replace
from datetime import timedelta

import pytest

from artifact_sync.core.model import KeepResult
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy
from artifact_sync.engine import explained
from artifact_sync.errors import NotFound
from artifact_sync.ports import TransferState
from artifact_sync.simulator import JobSpec, small
from artifact_sync.simulator.faults import Answer, Fault
from tests.integration.engine.engine_harness import (
    DAY,
    QUICK,
    build,
    digests,
    downloads,
    history,
    rig,
    rule,
    tree,
)
from tests.integration.engine.plans import plan_of

CONDITIONS = {
    "project",
    "ref",
    "ref_type",
    "semver",
    "job",
    "stage",
    "status",
    "source",
    "max_age",
    "retried",
    "child_pipelines",
    "downstream",
}


@pytest.fixture
def varied(world, app):
    """Jobs that are taken and jobs that are not: retried, failed, unfinished, old, of a child, without an archive."""
    jobs = history(world, app, 230, start=world.clock.now() - 40 * DAY, step=DAY / 6)
    parent = build(world, app, "build", "test", ref="main")
    build(world, app, "docs", parent=parent)
    world.finish(world.retry(parent.jobs[0]))
    failing = world.add_pipeline(app, "main", [JobSpec("package", archive=small("f"), upload="always")])
    world.finish(failing.jobs[0], "failed")
    build(world, app, "later", end=False)
    return jobs


async def test_the_plan_is_what_a_pass_then_does(world, app, varied, tmp_path):
    """The same transfers, items and destinations, newest first."""
    both = rule(), rule(name="logs", fetch=Fetch(archive=False, trace=True), jobs=["build"], path="logs/{job_id}")
    policy = replace(QUICK, backfill=30.1 * DAY)
    async with rig(world, tmp_path, *both, policy=policy) as daemon:
        plan = await plan_of(daemon, app)
        assert all(entry.known is None for entry in plan)
        await daemon.sync()
        done = [queued async for queued in daemon.state.published()]
    assert len(plan) == len(done) > 150
    wanted = {(e.transfer.job.id, e.transfer.dest, e.transfer.items, e.transfer.rules) for e in plan}
    assert wanted == {(q.transfer.job.id, q.transfer.dest, q.transfer.items, q.transfer.rules) for q in done}
    archives = {e.transfer.job.id: e.size for e in plan if e.transfer.items[0].kind == "archive"}
    assert archives.keys() == daemon.mirrored.keys()
    assert [e.transfer.job.id for e in plan] == sorted((e.transfer.job.id for e in plan), reverse=True)


async def test_the_plan_changes_nothing(world, app, varied, tmp_path):
    """No file in the store or beside the database, no row, no download, no keep."""
    keep = Keep(policy=KeepPolicy.ALWAYS)
    build(world, app, "expiring", expire_in=timedelta(hours=1))
    async with rig(world, tmp_path, rule(keep=keep)) as daemon:
        before, rows = tree(tmp_path), await daemon.state.summary()
        plan = await plan_of(daemon, app)
        assert [len(entry.keeps) for entry in plan[:2]] == [1, 0]
        assert tree(tmp_path) == before
        assert await daemon.state.summary() == rows
        assert await daemon.state.progress(app.id) is None
    assert downloads(world) == []
    assert {seen.method for seen in world.requests} == {"GET"}


async def test_the_plan_shows_what_is_there_already(world, app, varied, tmp_path):
    """After a pass everything planned is known and published; what is new since then is not."""
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        new = build(world, app, "new").jobs[0]
        plan = await plan_of(daemon, app)
    states = {entry.transfer.job.id: entry.known and entry.known.state for entry in plan}
    assert states.pop(new.id) is None
    assert set(states.values()) == {TransferState.PUBLISHED}
    assert states.keys() == daemon.mirrored.keys()


async def test_the_plan_without_a_state(world, app, tmp_path):
    """As for a mirror that is not there yet."""
    jobs = build(world, app, "build").jobs
    async with rig(world, tmp_path, rule()) as daemon:
        found = await plan_of(daemon, app, known=False)
        assert [(entry.transfer.job.id, entry.known) for entry in found] == [(jobs[0].id, None)]


async def test_every_condition_of_every_rule_is_explained(world, app, varied, tmp_path):
    """For each job each rule's verdicts, and the rules that take it are those that a pass took it by."""
    rules = (
        rule(),
        rule(name="other", jobs=["pack*"], path="other/{job_id}"),
        rule(name="all", retried=True, statuses=frozenset({"success", "failed"}), path="all/{job_id}"),
        rule("other/**", name="elsewhere"),
    )
    async with rig(world, tmp_path, *rules) as daemon:
        await daemon.sync()
        jobs = [job for job in app.jobs if not job.spec.bridge][-12:]
        assert {job.status for job in jobs} == {"success", "failed", "pending"}
        assert {job.retried for job in jobs} == {True, False}
        for job in jobs:
            why = await daemon.engine.explain(app.id, job.id)
            assert [decision.rule.name for decision in why.decisions] == ["r", "other", "all", "elsewhere"]
            for decision in why.decisions:
                assert {verdict.condition for verdict in decision.verdicts} == CONDITIONS
                assert None not in {verdict.holds for verdict in decision.verdicts} or not job.finished
            taking = {decision.rule.name for decision in why.decisions if decision.selected}
            took = {name for queued in why.transfers for name in queued.transfer.rules}
            assert took == (taking if job.uploaded and job.spec.archive else set())
            assert {queued.state for queued in why.transfers} <= {TransferState.PUBLISHED}


async def test_why_not(world, app, tmp_path):
    """The conditions that fail are named, and only those."""
    old = build(world, app, "build", ref="topic").jobs[0]
    world.finish(world.retry(old))
    async with rig(world, tmp_path, rule(refs=["v*"], jobs=["build"], max_age=DAY)) as daemon:
        why = await daemon.engine.explain(app.id, old.id)
    (decision,) = why.decisions
    assert {verdict.condition for verdict in decision.verdicts if not verdict.holds} == {"ref", "retried"}
    (ref,) = (verdict for verdict in decision.verdicts if verdict.condition == "ref")
    assert (ref.wanted, ref.found) == ("v*", "topic")


async def test_the_explanation_tells_of_keeps(world, app, tmp_path):
    """Those of this job, and of no other."""
    first, second = build(world, app, "a", "b", expire_in=timedelta(minutes=30)).jobs
    world.faults.add(Fault(action=Answer(status=503), path="/artifacts$", times=None))
    keep = Keep(policy=KeepPolicy.ALWAYS, lead=DAY)
    async with rig(world, tmp_path, rule(keep=keep, jobs=["a"]), policy=replace(QUICK, attempts=1)) as daemon:
        world.clock.advance(timedelta(minutes=20))
    async with rig(world, tmp_path, rule(keep=keep, jobs=["a"]), policy=replace(QUICK, attempts=1)) as daemon:
        await daemon.sync()
        assert [entry.result for entry in (await daemon.engine.explain(app.id, first.id)).keeps] == [KeepResult.KEPT]
        assert (await daemon.engine.explain(app.id, second.id)).keeps == ()


async def test_explaining_changes_nothing(world, app, varied, tmp_path):
    """Also for a job that a pass would take."""
    async with rig(world, tmp_path, rule()) as daemon:
        before, rows = tree(tmp_path), await daemon.state.summary()
        await daemon.engine.explain(app.id, app.jobs[0].id)
        assert tree(tmp_path) == before
        assert await daemon.state.summary() == rows
    assert downloads(world) == []


async def test_a_job_that_is_not_there(world, app, tmp_path):
    """Is told as such, with or without a state."""
    async with rig(world, tmp_path, rule()) as daemon:
        project = await daemon.remote.project(app.id)
        with pytest.raises(NotFound):
            await explained(project, 1, remote=daemon.remote, state=None, clock=daemon.clock, rules=daemon.rules)


async def test_superseded_jobs_whose_list_is_refused_are_no_guess(world, app, tmp_path):
    """An empty list of a pipeline that has jobs does not make them all superseded: nothing is passed over for good."""
    old = build(world, app, "build").jobs[0]
    history(world, app, 150, start=world.clock.now(), step=timedelta())
    async with rig(world, tmp_path, rule(jobs=["build"])) as daemon:
        project = await daemon.remote.project(app.id)
        await daemon.engine._following._discovery.poll(project)
    empty = Answer(status=200, body="[]", content_type="application/json")
    async with rig(world, tmp_path, rule(jobs=["build"])) as daemon:
        world.faults.add(Fault(action=empty, path=f"/pipelines/{old.pipeline.id}/jobs"))
        assert not (await daemon.sync()).complete
        assert (await daemon.sync()).complete
    assert daemon.mirrored == digests(app.jobs)

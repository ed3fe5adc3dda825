"""Retention on a whole engine: what goes, what stays, what comes back, and what is never fetched again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from artifact_sync.core.events import (
    Audited,
    ProjectFailed,
    PruneRefused,
    PublicationPruned,
    PublicationRestored,
    Recovered,
    TrashEmptied,
)
from artifact_sync.core.paths import Template
from artifact_sync.core.retention import Retain
from artifact_sync.core.rules import Keep, KeepPolicy, Publish, Rule
from artifact_sync.engine.audit import audit
from artifact_sync.engine.holdings import plan_of
from artifact_sync.engine.means import Means
from artifact_sync.engine.pruning import moment_of, trash_name
from artifact_sync.ports import PinnedJob, PruneOrder, PruneReport, TransferState
from artifact_sync.simulator import SimClock, SimJob, World, serve
from tests.integration.engine.engine_harness import (
    DAY,
    KEEP_NEVER,
    QUICK,
    DrivenClock,
    Rig,
    build,
    digests,
    downloads,
    rig,
    rule,
    running,
    until,
)

FREE = replace(QUICK, max_delete=1.0)
HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def keeping(*, name: str = "r", keep: Keep = KEEP_NEVER, path: str | None = None, jobs=(), **retain) -> Rule:
    """A rule with retention."""
    made = rule(name=name, keep=keep, jobs=list(jobs))
    made = replace(made, retain=Retain(**retain))
    return replace(made, publish=Publish(path=Template.parse(path))) if path else made


def nightly(world: World, app, count: int, *names: str) -> list[SimJob]:
    """One job a night, newest first."""
    now = world.clock.now()
    made = [build(world, app, *(names or ("build",)), at=now - (n + 1) * DAY).jobs for n in reversed(range(count))]
    return [job for jobs in reversed(made) for job in jobs]


def trashed(path: Path) -> list[str]:
    """What lies in the trash."""
    return sorted(each.name for each in (path / "store" / ".trash").iterdir())


def objects(path: Path) -> int:
    """How many objects there are."""
    return sum(each.is_file() for each in (path / "store" / "objects").rglob("*"))


async def states(daemon: Rig, jobs: list[SimJob]) -> list[str]:
    """Where each job's transfer stands."""
    return [(await daemon.transfer(job)).state.value for job in jobs]


async def test_a_pass_prunes_what_no_rule_keeps(world, app, tmp_path):
    """The newest two stay; the others go into the trash with when and why, and are announced."""
    jobs = nightly(world, app, 4)
    async with rig(world, tmp_path, keeping(last=2), policy=FREE) as daemon:
        await daemon.sync()
        assert daemon.mirrored.keys() == {job.id for job in jobs[:2]}
        assert await states(daemon, jobs) == ["published", "published", "pruned", "pruned"]
        gone = (await daemon.transfer(jobs[2])).pruned
        assert gone is not None
        assert gone.why == "not among last 2"
        assert gone.trash in trashed(tmp_path)
        events = daemon.of(PublicationPruned)
        assert [event.job_id for event in events] == [jobs[3].id, jobs[2].id]
        assert events[0].size > 0
        look = (await daemon.state.summary()).retention
        assert look is not None
        assert (look.publications, look.removable, look.orphans) == (4, 2, 0)
        assert (await daemon.state.summary()).troubles == ()


async def test_what_was_pruned_is_not_fetched_again(world, app, tmp_path):
    """Not by the next pass, not when history is walked anew for other rules, not by an audit, which finds nothing missing."""
    jobs = nightly(world, app, 3)
    async with rig(world, tmp_path, keeping(last=1), policy=FREE) as daemon:
        await daemon.sync()
        await daemon.sync()
    other = replace(FREE, rules="changed")
    async with rig(world, tmp_path, keeping(last=1), policy=other) as daemon:
        report = await daemon.sync()
        project = await daemon.remote.project(app.id)
        means = Means(
            remote=daemon.remote,
            state=daemon.state,
            clock=daemon.clock,
            rules=daemon.rules,
            policy=other,
            emit=daemon.events.append,
        )
        told = await audit(project, means)
        assert report.complete
        assert (told.selected, told.missing, told.ahead) == (3, 0, 0)
        assert daemon.of(Audited) == [told]
        assert daemon.mirrored.keys() == {jobs[0].id}
        assert daemon.of(Recovered)[0].missing == 0
    assert [len(downloads(world, job)) for job in jobs] == [1, 1, 1]


async def test_a_new_publication_pushes_out_the_oldest(world, app, tmp_path):
    """One of a few is never too much at once."""
    nightly(world, app, 3)
    async with rig(world, tmp_path, keeping(last=3)) as daemon:
        await daemon.sync()
        assert len(daemon.mirrored) == 3
        newest = build(world, app, "build").jobs[0]
        await daemon.sync()
        assert newest.id in daemon.mirrored
        assert len(daemon.mirrored) == 3
        assert daemon.of(PruneRefused) == []


async def test_too_much_at_once_is_refused(world, app, tmp_path):
    """Nothing goes, and `status` says so with the cure, until somebody orders it."""
    jobs = nightly(world, app, 10)
    async with rig(world, tmp_path, keeping(last=2)) as daemon:
        await daemon.sync()
        assert daemon.mirrored.keys() == {job.id for job in jobs}
        assert trashed(tmp_path) == []
        (refused,) = daemon.of(PruneRefused)
        assert (refused.removable, refused.publications, refused.most) == (8, 10, 1)
        (trouble,) = (await daemon.state.summary()).troubles
        assert trouble.subject == "retention"
        assert trouble.error == "8 of 10 publications would be pruned, more than 1 at once (retention.max_delete 10%)"
        assert "artifact-sync prune --yes" in trouble.hint
        report = await daemon.engine.janitor.prune(PruneOrder())
        assert (report.pruned, report.problems) == (8, ())
        assert (await daemon.state.summary()).troubles == ()
        assert daemon.mirrored.keys() == {job.id for job in jobs[:2]}


async def test_nothing_goes_unasked_where_nothing_may(world, app, tmp_path):
    """A share of nothing means never without a word."""
    nightly(world, app, 2)
    async with rig(world, tmp_path, keeping(last=1), policy=replace(QUICK, max_delete=0.0)) as daemon:
        await daemon.sync()
        assert len(daemon.mirrored) == 2
        assert len(daemon.of(PruneRefused)) == 1


async def test_what_never_goes_is_counted_and_not_held(world, app, tmp_path):
    """The daemon's own look holds only what some rule may let go; what it removes is the same as in the whole plan."""
    jobs = nightly(world, app, 4, "build", "docs")
    rules = [keeping(path="{job_id}"), keeping(name="few", jobs=["docs"], path="few/{job_id}", last=1)]
    async with rig(world, tmp_path, *rules, policy=replace(FREE, max_delete=0.0)) as daemon:
        await daemon.sync()
        look = partial(plan_of, daemon.state, daemon.rules, now=daemon.clock.now(), linked=daemon.store.linked)
        whole, own = await look(), await look(whole=False)
    assert whole.count == own.count == len(jobs) + 4
    assert {verdict.held.rules for verdict in own.verdicts} == {("few",)}
    assert own.removed == whole.removed
    assert len(own.removed) == 3


async def test_one_rule_that_lets_go_is_enough_to_be_held(world, app, tmp_path):
    """A publication of two rules, where one keeps everything, is held, and stays."""
    nightly(world, app, 2)
    rules = [keeping(path="{job_id}"), keeping(name="few", path="{job_id}", last=1)]
    async with rig(world, tmp_path, *rules, policy=FREE) as daemon:
        await daemon.sync()
        own = await plan_of(daemon.state, daemon.rules, now=daemon.clock.now(), linked=daemon.store.linked, whole=False)
    assert (own.others, own.count, own.removed) == (0, 2, ())


async def test_pins_and_links_hold(world, app, tmp_path):
    """What a person pinned, and what a link points at, stays."""
    jobs = nightly(world, app, 5)
    async with rig(world, tmp_path, keeping(last=1), policy=replace(QUICK, max_delete=0.0)) as daemon:
        await daemon.sync()
        pinned = PinnedJob(project_id=app.id, project_path=app.path, job_id=jobs[3].id, at=daemon.clock.now())
        await daemon.state.pin(pinned)
        linked = await daemon.transfer(jobs[4])
        (tmp_path / "store" / "tree" / "latest").symlink_to(linked.transfer.dest)
        report = await daemon.engine.janitor.prune(PruneOrder())
        assert report.pruned == 2
        assert daemon.mirrored.keys() == {jobs[0].id, jobs[3].id, jobs[4].id}


async def test_what_is_undone_is_as_it_was(world, app, tmp_path):
    """By project, by job, or everything; and it is served from the store, not from GitLab."""
    jobs = nightly(world, app, 4)
    async with rig(world, tmp_path, keeping(last=1), policy=FREE) as daemon:
        await daemon.sync()
        before = daemon.mirrored
        janitor = daemon.engine.janitor
        one = await janitor.prune(PruneOrder(undo=True, only=(f"#{jobs[3].id}",)))
        assert (one.restored, one.problems) == (1, ())
        assert daemon.mirrored.keys() == before.keys() | {jobs[3].id}
        assert (await janitor.prune(PruneOrder(undo=True, only=("acme/other",)))).restored == 0
        rest = await janitor.prune(PruneOrder(undo=True, only=("acme/app",)))
        assert rest.restored == 2
        assert await states(daemon, jobs) == ["published"] * 4
        assert [event.job_id for event in daemon.of(PublicationRestored)] == [jobs[3].id, jobs[2].id, jobs[1].id]
        for job in jobs:
            queued = await daemon.transfer(job)
            assert await daemon.store.has(queued.transfer.dest, queued.files)
    assert len(downloads(world)) == 4


async def test_orphans_are_reported_and_go_only_when_asked(world, app, tmp_path):
    """A rule is gone from the configuration: what it brought stays, and is told."""
    now = world.clock.now()
    kept, orphan = build(world, app, "build", "docs", at=now - DAY).jobs
    both = keeping(name="docs", jobs=["docs"]), keeping(name="r", jobs=["build"], last=1)
    async with rig(world, tmp_path, *both, policy=FREE) as daemon:
        await daemon.sync()
    async with rig(world, tmp_path, both[1], policy=FREE) as daemon:
        await daemon.sync()
        look = (await daemon.state.summary()).retention
        assert look is not None
        assert (look.orphans, look.removable) == (1, 0)
        assert look.orphan_bytes > 0
        assert daemon.mirrored.keys() == {kept.id, orphan.id}
        report = await daemon.engine.janitor.prune(PruneOrder(orphans=True))
        assert report.pruned == 1
        assert daemon.mirrored.keys() == {kept.id}
        gone = (await daemon.transfer(orphan)).pruned
        assert gone is not None
        assert gone.why == "orphan: no present rule selects it"
    # Selected again it is back, and comes from nowhere else: what was downloaded once is not asked for.
    asked_for = len(downloads(world))
    async with rig(world, tmp_path, *both, policy=FREE) as daemon:
        await daemon.sync()
        assert daemon.mirrored == digests([kept, orphan])
        assert (await daemon.transfer(orphan)).state is TransferState.PUBLISHED
    assert len(downloads(world)) == asked_for


async def test_what_gitlab_deletes_stays_here(world, app, tmp_path):
    """An erased job, and a deleted project: nothing of it is pruned, with or without orphans."""
    jobs = nightly(world, app, 3)
    async with rig(world, tmp_path, keeping(max_age=90 * DAY), policy=FREE) as daemon:
        await daemon.sync()
        for job in jobs[:2]:
            world.erase(job)
        await daemon.sync()
        world.projects.clear()
        report = await daemon.engine.janitor.prune(PruneOrder(orphans=True))
        assert (report.pruned, len(daemon.mirrored)) == (0, 3)


async def test_a_publication_inside_another_survives_it(world, app, tmp_path):
    """Two rules, one below the other's destination: each is pruned by its own."""
    jobs = nightly(world, app, 3)
    outer = keeping(name="outer", path="{project}/{job_id}", last=1)
    inner = keeping(name="inner", path="{project}/{job_id}/again/{job_id}")
    async with rig(world, tmp_path, outer, inner, policy=FREE) as daemon:
        await daemon.sync()
        tree = tmp_path / "store" / "tree" / "acme" / "app"
        assert not (tree / str(jobs[2].id) / "artifacts.zip").exists()
        for job in jobs:
            found = await daemon.state.find(app.id, job.id)
            for queued in found:
                here = await daemon.store.has(queued.transfer.dest, queued.files)
                assert here is (queued.state is TransferState.PUBLISHED)
        assert len(await daemon.engine.janitor._state.half_pruned()) == 0
        assert (await daemon.state.summary()).by_state[TransferState.PRUNED] == 2


async def test_the_trash_is_emptied_in_time(tmp_path):
    """After `trash` the files and their objects are gone, and cannot be brought back; until then they can."""
    world = World(clock=SimClock.manual(START))
    app = world.add_project("acme/app")
    clock = DrivenClock(world.clock)
    async with serve(world), rig(world, tmp_path, keeping(last=1), policy=FREE, clock=clock) as daemon:
        jobs = nightly(world, app, 3)
        await daemon.sync()
        assert len(trashed(tmp_path)) == 2
        assert objects(tmp_path) == 3
        clock.advance(7 * DAY - HOUR)
        await daemon.engine.janitor.look()
        assert len(trashed(tmp_path)) == 2
        clock.advance(HOUR)
        await daemon.engine.janitor.look()
        assert trashed(tmp_path) == []
        assert objects(tmp_path) == 1
        (event,) = daemon.of(TrashEmptied)
        assert (event.publications, event.early) == (2, False)
        assert event.freed > 0
        undone = await daemon.engine.janitor.prune(PruneOrder(undo=True))
        assert (undone.restored, undone.problems) == (0, ())
        gone = (await daemon.transfer(jobs[1])).pruned
        assert gone is not None
        assert gone.trash is None
        assert daemon.mirrored.keys() == {jobs[0].id}


async def test_a_full_disk_empties_the_trash_early(world, app, tmp_path):
    """Oldest first, and no more than is needed."""
    nightly(world, app, 6)
    policy = replace(FREE, min_free=1)
    async with rig(world, tmp_path, keeping(last=1), policy=policy) as daemon:
        await daemon.sync()
        before = trashed(tmp_path)
        assert len(before) == 5
        answers = [0, 0, 10, 10, 10]

        class Full:
            """The store on a disk that fills: it is asked before each round."""

            def __getattr__(self, name: str) -> object:
                return getattr(daemon.store, name)

            async def free(self) -> int:
                return answers.pop(0)

        daemon.engine.janitor._emptying._store = Full()  # type: ignore[assignment]  # all that it asks of a store
        await daemon.engine.janitor.look()
        assert trashed(tmp_path) == before[3:]
        assert {event.early for event in daemon.of(TrashEmptied)} == {True}
        assert sum(event.publications for event in daemon.of(TrashEmptied)) == 3
        undone = await daemon.engine.janitor._state.summary()
        assert undone.in_trash == 2


async def test_the_last_copy_among_the_objects_stays(world, app, tmp_path):
    """Somebody removed a publication from the tree, and it is gone from GitLab: its object is spared."""
    jobs = nightly(world, app, 3)
    policy = replace(FREE, trash=timedelta())
    async with rig(world, tmp_path, keeping(last=2), policy=replace(policy, max_delete=0.0)) as daemon:
        await daemon.sync()
        lost = await daemon.transfer(jobs[0])
        shutil.rmtree(tmp_path / "store" / "tree" / lost.transfer.dest)
        await daemon.queue.lost(lost.id)
        assert (await daemon.engine.janitor.prune(PruneOrder())).pruned == 0
        clean = keeping(last=1)
        daemon.engine.janitor._rules = (clean,)
        report = await daemon.engine.janitor.prune(PruneOrder())
        assert report.pruned == 1
        assert trashed(tmp_path) == []
        names = {each.name for each in (tmp_path / "store" / "objects").rglob("*") if each.is_file()}
        assert lost.files[0].sha256 in names
        assert len(names) == 2


@pytest.mark.parametrize("moved", [False, True], ids=["before the move", "after the move"])
@pytest.mark.parametrize("back", [False, True], ids=["prune", "undo"])
async def test_recovery_completes_what_was_begun(world, app, tmp_path, moved, back):
    """Killed on the way into the trash, or back: the next start finishes it, and loses nothing."""
    (job,) = nightly(world, app, 1)
    async with rig(world, tmp_path, keeping(), policy=FREE) as daemon:
        await daemon.sync()
        queued = await daemon.transfer(job)
        now = daemon.clock.now()
        name = trash_name(now, queued.id)
        dest = queued.transfer.dest
        assert await daemon.state.pruning(queued.id, why="test", trash=name, at=now)
        if back or moved:
            await daemon.store.trash.take(dest, queued.files, name)
        if back:
            await daemon.state.pruned(queued.id)
            await daemon.state.restoring(queued.id)
            if moved:
                await daemon.store.trash.give_back(dest, name)
    async with rig(world, tmp_path, keeping(), policy=FREE) as daemon:
        queued = await daemon.transfer(job)
        assert queued.state is (TransferState.PUBLISHED if back else TransferState.PRUNED)
        assert trashed(tmp_path) == ([] if back else [name])
        assert await daemon.store.has(dest, queued.files) is back
        (recovered,) = daemon.of(Recovered)
        assert (recovered.pruned, recovered.missing) == (1, 0)
        undone = await daemon.engine.janitor.prune(PruneOrder(undo=True))
        assert undone.restored == (0 if back else 1)
        assert daemon.mirrored.keys() == {job.id}
    assert len(downloads(world)) == 1


async def test_what_somebody_removed_is_pruned_without_trash(world, app, tmp_path):
    """There is nothing to move, and nothing to bring back."""
    jobs = nightly(world, app, 2)
    async with rig(world, tmp_path, keeping(last=1), policy=replace(QUICK, max_delete=0.0)) as daemon:
        await daemon.sync()
        old = await daemon.transfer(jobs[1])
        shutil.rmtree(tmp_path / "store" / "tree" / old.transfer.dest)
        assert (await daemon.engine.janitor.prune(PruneOrder())).pruned == 1
        assert (await states(daemon, jobs))[1] == "pruned"
        assert (await daemon.state.summary()).in_trash == 0


async def test_an_obstructed_way_back_is_told(world, app, tmp_path):
    """What stands in the way stays, the publication stays in the trash, and the next try succeeds once it is gone."""
    jobs = nightly(world, app, 2)
    async with rig(world, tmp_path, keeping(last=1), policy=FREE) as daemon:
        await daemon.sync()
        dest = (await daemon.transfer(jobs[1])).transfer.dest
        place = tmp_path / "store" / "tree" / dest
        place.mkdir(parents=True)
        (place / "artifacts.zip").write_bytes(b"mine")
        report = await daemon.engine.janitor.prune(PruneOrder(undo=True))
        assert report.restored == 0
        assert "is there already" in report.problems[0]
        (trouble,) = (await daemon.state.summary()).troubles
        assert trouble.subject == "retention"
        assert (place / "artifacts.zip").read_bytes() == b"mine"
        (place / "artifacts.zip").unlink()
        # Any order completes first what is half done.
        await daemon.engine.janitor.prune(PruneOrder(undo=True, only=("nothing",)))
        assert jobs[1].id in daemon.mirrored
        assert (await daemon.state.summary()).troubles == ()


async def test_retention_leaves_keeps_alone(world, app, tmp_path):
    """What was kept in GitLab stays kept there, and a pruned job is not kept for being gone here."""
    now = world.clock.now()
    keep = Keep(policy=KeepPolicy.BEFORE_EXPIRY, lead=timedelta(hours=1))
    for n in (2, 1):
        build(world, app, "build", at=now - n * DAY, expire_in=n * DAY + 20 * DAY)
    async with rig(world, tmp_path, keeping(last=1, keep=keep), policy=FREE) as daemon:
        await daemon.sync()
        assert (await daemon.state.summary()).by_state[TransferState.PRUNED] == 1
        assert (await daemon.state.summary()).keeps_due == 0
        assert [entry async for entry in daemon.state.keeps()] == []


async def test_the_daemon_looks_and_obeys(world, app, tmp_path):
    """It prunes in time, and does what another process orders."""
    jobs = nightly(world, app, 12)
    policy = replace(QUICK, first_prune=timedelta(seconds=0.2), prune_every=timedelta(seconds=0.2))
    async with rig(world, tmp_path, keeping(last=1), policy=policy) as daemon, running(daemon):
        await until(lambda: len(daemon.mirrored) == 12 and bool(daemon.of(PruneRefused)))
        number = await daemon.state.order_prune(PruneOrder(), daemon.clock.now())
        answer: PruneReport | None = None
        while answer is None:
            answer = await daemon.state.order_answer(number)
            await anyio.sleep(0.01)
        assert answer.pruned == 11
        assert daemon.mirrored.keys() == {jobs[0].id}
        build(world, app, "build")
        await until(lambda: len(daemon.of(PublicationPruned)) == 12)
        assert daemon.of(ProjectFailed) == []


def test_names_in_the_trash():
    """They tell when something came there, in order; what somebody else put there has none."""
    first, second = START, START + timedelta(microseconds=1)
    names = [trash_name(second, 5), trash_name(first, 12)]
    assert sorted(names) == names[::-1]
    assert [moment_of(name) for name in names] == [second, first]
    assert moment_of("notes") is None
    assert moment_of("") is None

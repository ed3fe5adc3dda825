"""The world's own verbs, its clock, and the worlds that live."""

import io
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from artifact_sync.simulator import JobSpec, LivingWorld, SimClock, World, big, demo_world, expected, small
from artifact_sync.simulator.demo import EXPIRES_AFTER
from artifact_sync.simulator.worlds import by_name, parse_size, spacing

#: The sweep comes at round times: worlds that begin at different ones differ.
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_ids_are_given_when_a_pipeline_starts(scene):
    """A manual job has a lower id than what ended long before it was played."""
    scene.clock.advance(600)
    scene.world.play(scene.deploy)
    scene.world.finish(scene.deploy)
    assert scene.deploy.id < scene.package.id
    assert scene.deploy.finished_at > scene.package.finished_at


def test_a_pipeline_is_updated_only_when_its_status_changes(scene):
    """A job that ends while others run leaves no mark on it."""
    pipeline = scene.world.add_pipeline(scene.app, "main", [JobSpec("a"), JobSpec("b"), JobSpec("c")])
    seen = []
    for job in pipeline.jobs:
        scene.clock.advance(10)
        scene.world.finish(job)
        seen.append((pipeline.status, (pipeline.updated_at - pipeline.created_at).total_seconds()))
    assert seen == [("running", 10), ("running", 10), ("success", 30)]


def test_keep_leaves_no_mark_on_the_pipeline(scene):
    """Neither do erase and delete."""
    before = scene.release.updated_at
    scene.world.keep(scene.package)
    scene.world.delete_artifacts(scene.package)
    scene.world.erase(scene.package)
    assert scene.release.updated_at == before
    assert scene.world.kept_jobs() == [scene.package]


@pytest.mark.parametrize(
    ("upload", "status", "uploaded"),
    [
        ("on_success", "success", True),
        ("on_success", "failed", False),
        ("on_failure", "failed", True),
        ("on_failure", "success", False),
        ("always", "failed", True),
        ("always", "canceled", False),
    ],
)
def test_artifacts_are_uploaded_as_their_when_says(scene, upload, status, uploaded):
    """And never for a job that did not run."""
    job = scene.world.add_pipeline(scene.app, "main", [JobSpec("x", archive=small("x"), upload=upload)]).jobs[0]
    scene.world.finish(job, status)
    assert (job.archive is not None) is uploaded


def test_impossible_transitions_are_refused(scene):
    """A job ends once, and only a manual one is played."""
    for act in (scene.world.finish, scene.world.play, scene.world.start):
        with pytest.raises(ValueError, match=str(scene.build.id)):
            act(scene.build)


@pytest.mark.parametrize("deflated", [False, True])
def test_big_archives_are_whole_and_the_same_for_the_same_seed(deflated):
    """On disk from 8 MiB on, of exactly the size when stored."""
    one, two = (big(9 << 20, seed=3, deflated=deflated).content for _ in range(2))
    assert (one.sha256, one.data) == (two.sha256, None)
    assert one.sha256 != big(9 << 20, seed=4, deflated=deflated).content.sha256
    assert deflated or one.size == 9 << 20
    file = one.file()
    assert file is not None
    with file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None


def test_small_archives_have_members_of_every_kind():
    """Files, directories, a symlink, an empty file, a name with a space."""
    with zipfile.ZipFile(io.BytesIO(small(1).content.data or b"")) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert archive.read("dist/latest") == b"app"
    assert {"dist/", "dist/app", "reports/test log.txt", "empty.txt"} <= set(names)
    assert small(1).content.sha256 == small(1).content.sha256 != small(2).content.sha256


def test_the_clock_can_be_fast_or_driven():
    """A manual clock stands still; any clock jumps."""
    manual = SimClock.manual()
    before = manual.now()
    assert manual.now() == before
    assert manual.advance(90) - before == timedelta(seconds=90)
    assert manual.real_seconds(before + timedelta(seconds=91)) is None
    fast = SimClock(factor=3600)
    left = fast.real_seconds(fast.now() + timedelta(hours=2))
    assert left is not None
    assert 0 < left <= 2


def lived(seed: object, *, seconds: int) -> tuple[World, list[tuple[str, dict[str, object]]]]:
    """A world of random pipelines, driven second by second."""
    world = World(clock=SimClock.manual(START), seed=seed, sweep_every=timedelta(seconds=30))
    for path in ("acme/app", "acme/web"):
        world.add_project(path).keep_latest = False
    told: list[tuple[str, dict[str, object]]] = []
    living = LivingWorld(world, seed=seed, rate=20, tell=lambda event, facts: told.append((event, facts)))
    for _ in range(seconds):
        world.clock.advance(1)
        living.step()
    return world, told


def test_a_living_world_does_everything_that_is_hard_to_follow():
    """Out of order ends, manual jobs played late, retries, expiries, on branches, tags and merge requests."""
    world, told = lived(1, seconds=400)
    events = Counter(event for event, _ in told)
    assert {"pipeline.started", "job.finished", "job.played", "job.retried", "artifacts.expired"} <= set(events)
    ends = [int(str(facts["job_id"])) for event, facts in told if event == "job.finished"]
    assert ends != sorted(ends)
    assert {p.source for p in world.pipelines.values()} == {"push", "merge_request_event"}
    assert {p.tag for p in world.pipelines.values()} == {True, False}


def test_a_living_world_is_the_same_for_the_same_seed():
    """Names, order, ids and bytes."""
    (one, told_one), (two, told_two) = lived(5, seconds=120), lived(5, seconds=120)
    assert expected(one) == expected(two)
    assert [(event, facts["job_id"]) for event, facts in told_one if "job_id" in facts] == [
        (event, facts["job_id"]) for event, facts in told_two if "job_id" in facts
    ]


async def test_a_living_world_runs_by_itself():
    """On its clock, here a hundred times as fast, until it is cancelled."""
    world = World(clock=SimClock(factor=100))
    world.add_project("acme/app")
    finished = anyio.Event()
    living = LivingWorld(world, rate=60, tell=lambda event, _: finished.set() if event == "job.finished" else None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(living.run)
        await finished.wait()
        tasks.cancel_scope.cancel()
    assert any(job.finished for job in world.jobs.values())


def test_the_demo_has_its_scenes():
    """In the order and at the times that its description gives."""
    world, living = demo_world(1)
    # Frozen, so that the scenes are looked at one second at a time.
    world.clock.factor = 0.0
    told: list[tuple[int, str, dict[str, object]]] = []
    second = 0
    living.on_tell(lambda event, facts: told.append((second, event, facts)))
    for second in range(1, 46):  # noqa: B007 -- the listener reads it
        world.clock.advance(1)
        living.step()

    def when(event: str, job: str, **also: object) -> list[int]:
        wanted = {"job": job, **also}.items()
        return [at for at, name, facts in told if name == event and wanted <= facts.items()]

    package = next(job for job in world.projects[1].jobs if job.spec.expire_in == timedelta(seconds=EXPIRES_AFTER))
    assert when("job.finished", "package", job_id=package.id)[0] in {2, 3}
    assert when("artifacts.expired", "package", job_id=package.id), "nobody kept it, so it is lost"
    assert when("job.played", "sign")[0] in {20, 21}
    assert when("job.retried", "package", project="acme/web")
    assert when("job.finished", "handbook:html", source="parent_pipeline")
    assert when("artifacts.expired", "preview")
    assert {"v1.2.0-rc.1", "v1.2.0"} <= {facts["ref"] for _, _, facts in told}
    parser = [
        facts["job"] for _, event, facts in told if event == "job.finished" and facts["project"] == "acme/lib/parser"
    ]
    assert parser[:2] == ["package", "compile"], "the higher id ends first"


def test_the_demos_short_lived_archive_can_be_kept():
    """Kept before its expiry it is still there when its download works again."""
    world, living = demo_world(1)
    world.clock.factor = 0.0
    package = next(job for job in world.projects[1].jobs if job.spec.expire_in == timedelta(seconds=EXPIRES_AFTER))
    path = f"/api/v4/projects/1/jobs/{package.id}/artifacts"
    served = []
    for second in range(45):
        world.clock.advance(1)
        living.step()
        if second == 16:
            world.keep(package)
        served.append(package.archive is not None and world.faults.strike("gitlab", "GET", path) is None)
    assert served.index(True) in {20, 21}
    assert all(served[21:])


@pytest.mark.parametrize(
    ("name", "jobs", "archives"), [("jobs:7", 7, 7), ("jobs:3:64KiB", 3, 3), ("listed:250", 250, 3), ("big:1MiB", 1, 1)]
)
def test_worlds_by_name(name, jobs, archives):
    """So many jobs, so many of them with archives."""
    world, living = by_name(name)
    assert (len(world.jobs), len(expected(world)), living) == (jobs, archives, None)
    assert expected(by_name(name)[0]) == expected(world)


@pytest.mark.parametrize("pipelines", [1, 100, 100_000])
def test_no_world_by_name_is_so_long_that_its_artifacts_expire(pipelines):
    """They live for a month, and a million jobs make a hundred thousand pipelines."""
    assert pipelines * spacing(pipelines) < timedelta(days=15)


def test_a_long_history_expires_in_the_future():
    """The first job of a world by name has its artifacts for weeks to come."""
    world, _ = by_name("listed:2000")
    first = world.jobs[min(world.jobs)]
    assert first.expire_at is not None
    assert first.expire_at - world.clock.now() > timedelta(days=15)
    assert first.finished_at is not None
    assert first.created_at < first.finished_at < world.clock.now()


@pytest.mark.parametrize("name", ["", "jobs", "jobs:x", "big:", "big:2 parsecs", "listed:5:5", "moon"])
def test_other_worlds_are_refused(name):
    """With what there is instead."""
    with pytest.raises(ValueError, match=r"size|jobs:N"):
        by_name(name)


def test_sizes():
    """Binary units, or bytes."""
    assert [parse_size(text) for text in ("12", "64KiB", "2GiB")] == [12, 65_536, 2 << 30]

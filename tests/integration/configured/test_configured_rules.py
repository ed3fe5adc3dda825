"""Each key of a rule, written in a configuration, changes what is mirrored."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from artifact_sync.core.events import Kept, TransferStarted
from artifact_sync.simulator import big, small
from artifact_sync.simulator.faults import Fault, Truncate
from tests.integration.configured.configured import DAY, HOUR

#: What a rule without conditions takes.
USUAL = ["again", "aged", "child", "old-tag", "plain", "scheduled", "staged", "tag"]


@pytest.fixture
def varied(mirror, world, app):
    """One job for each condition that can tell it from the others."""
    plain = mirror.build(app, "plain")
    mirror.build(app, "staged", stage="deploy")
    mirror.build(app, "tag", ref="v1.5.0", tag=True)
    mirror.build(app, "old-tag", ref="v0.9.0", tag=True)
    mirror.build(app, "scheduled", source="schedule")
    mirror.build(app, "broken", status="failed")
    mirror.build(app, "aged", ago=10 * DAY)
    world.finish(world.retry(mirror.build(app, "again")))
    mirror.build(app, "child", parent=plain.pipeline)
    mirror.build(world.add_project("acme/other"), "elsewhere", parent=plain.pipeline)
    return mirror


@pytest.mark.parametrize(
    ("when", "taken"),
    [
        ("{}", USUAL),
        ("refs: ['v*']", ["old-tag", "tag"]),
        ("ref_type: [tag]", ["old-tag", "tag"]),
        ("semver: '>=1'", ["tag"]),
        ("jobs: ['pl*']", ["plain"]),
        ("stages: [deploy]", ["staged"]),
        ("statuses: [failed]", ["broken"]),
        ("sources: [schedule]", ["scheduled"]),
        ("max_age: 5d", [name for name in USUAL if name != "aged"]),
        ("retried: true", ["again", *USUAL]),
        ("child_pipelines: false", [name for name in USUAL if name != "child"]),
        ("downstream: true", sorted([*USUAL, "elsewhere"])),
    ],
)
async def test_a_condition_chooses_jobs(varied, when, taken):
    """As many as it says, and no other."""
    report = await varied.sync(f"when: {{{when.strip('{}')}}}")
    assert varied.jobs == sorted(taken)
    assert report.complete


@pytest.mark.parametrize(
    ("projects", "taken"),
    [("[acme/app]", ["a"]), ("['acme/**']", ["a", "b"]), ("['acme/**', '!acme/app']", ["b"]), ("[2]", ["b"])],
)
async def test_projects_are_named_by_path_glob_and_id(mirror, world, app, projects, taken):
    """Exclusions take away."""
    mirror.build(app, "a")
    mirror.build(world.add_project("acme/deep/b"), "b")
    await mirror.sync(f"projects: {projects}")
    assert mirror.jobs == taken


@pytest.mark.parametrize(
    ("fetch", "names"),
    [
        ("{archive: true}", {"artifacts.zip"}),
        ("{archive: false, trace: true}", {"job.log"}),
        ("{trace: true}", {"artifacts.zip", "job.log"}),
        ("{archive: false, files: ['*.txt']}", {"files/read.txt"}),
    ],
)
async def test_what_is_fetched(mirror, app, fetch, names):
    """Archive, log and files, each where it is asked for."""
    job = mirror.build(app, "build", archive=small(1, {"read.txt": b"x", "more/deep.bin": b"y"}))
    await mirror.sync(f"fetch: {fetch}")
    assert mirror.files == {f"acme/app/main/build/{job.id}/{name}" for name in names}


async def test_what_is_larger_than_max_size_is_not_fetched(mirror, app):
    """It is counted as failed, and the other one is here."""
    mirror.build(app, "large", archive=big(200_000))
    mirror.build(app, "small")
    report = await mirror.sync("fetch: {max_size: 100KB}")
    assert (mirror.jobs, report.failed) == (["small"], 1)


async def test_name_and_path_are_those_of_the_rule(mirror, app):
    """The publication lies where `path` says, and its manifest has the `name`."""
    job = mirror.build(app, "build")
    await mirror.sync("{name: nightly, publish: {path: 'by-id/{job_id}'}}")
    assert mirror.files == {f"by-id/{job.id}/artifacts.zip"}
    manifest = mirror.folder / "mirror" / "tree" / "by-id" / str(job.id) / ".artifact-sync.json"
    assert "nightly" in json.dumps(json.loads(manifest.read_text())["rules"])


@pytest.mark.parametrize(("latest_by", "ref"), [("finished", "v1.5.0"), ("version", "v2.0.0")])
async def test_latest_by_says_what_is_the_newest(mirror, app, latest_by, ref):
    """The higher version ended before the lower one."""
    mirror.build(app, "package", ref="v2.0.0", tag=True, ago=DAY)
    mirror.build(app, "package", ref="v1.5.0", tag=True)
    await mirror.sync(f"{{when: {{semver: '>=1'}}, publish: {{latest: newest, latest_by: {latest_by}}}}}")
    assert (mirror.folder / "mirror" / "tree" / "newest").resolve().parent.parent.name == ref


@pytest.mark.parametrize(
    ("keep", "mirrored", "kept"),
    [
        ("{policy: always, lead: 2d}", True, True),
        ("{policy: always, lead: 6h}", True, False),
        ("{policy: never, lead: 2d}", False, False),
        ("{policy: before_expiry, lead: 2d}", True, False),
        ("{policy: before_expiry, lead: 2d}", False, True),
    ],
)
async def test_keep_by_policy_and_lead(mirror, app, keep, mirrored, kept):
    """Of a job whose artifacts expire in a day and a half, looked at before then."""
    job = mirror.build(app, "build", expire_in=10 * DAY, ago=timedelta())
    if not mirrored:
        mirror.world.faults.add(Fault(action=Truncate(after=100), path="/artifacts$", times=None))
    await mirror.sync(f"keep: {keep}", "downloads: {attempts: 1}")
    assert mirror.of(Kept) == []
    mirror.world.clock.advance(8 * DAY + 12 * HOUR)
    await mirror.sync(f"keep: {keep}", "downloads: {attempts: 1}")
    assert (len(mirror.of(Kept)), job.expire_at is None) == (kept, kept)
    assert mirror.jobs == ["build"] * mirrored


@pytest.mark.parametrize("first", ["a", "b"])
async def test_a_higher_priority_goes_first(mirror, app, first):
    """Whichever of the two it is given to."""
    for name in "ab":
        mirror.build(app, name)
    rules = [{"name": name, "when": {"jobs": [name]}, "priority": 5 if name == first else 0} for name in "ab"]
    await mirror.sync(json.dumps(rules), "downloads: {concurrency: 1}")
    assert next(event.job for event in mirror.of(TransferStarted)) == first


def midweek() -> datetime:
    """A Wednesday of the last month, at noon, with a week before it in the same month."""
    last = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    day = last.replace(day=17)
    return day + timedelta(days=(2 - day.weekday()) % 7)


@pytest.mark.parametrize(
    ("retain", "stay"),
    [
        ("{}", "edcba"),
        ("{last: 2}", "ed"),
        ("{daily: 2}", "ec"),
        ("{weekly: 2}", "eb"),
        ("{monthly: 2}", "ea"),
        ("{max_age: {age}h}", "edc"),
        ("{quota: {size}B}", "ed"),
    ],
)
async def test_retain_says_what_stays(mirror, app, retain, stay):
    """Two of one day, one of the day before, one of the week before, one of another month."""
    newest, now = midweek(), datetime.now(UTC)
    ages = {"a": 40 * DAY, "b": 7 * DAY, "c": DAY, "d": HOUR, "e": timedelta()}
    made = {
        mirror.build(app, "build", ago=now - newest + age, archive=small(name, {"same": name.encode()})).id: name
        for name, age in ages.items()
    }
    age = (now - newest + 2 * DAY) // HOUR
    size = max(job.spec.archive.content.size for job in mirror.world.jobs.values()) * 5 // 2
    written = retain.replace("{age}", str(age)).replace("{size}", str(size))
    await mirror.sync(f"retain: {written}", "{poll: {backfill: all}, retention: {max_delete: 100%}}")
    assert sorted((made[int(path.split("/")[-2])] for path in mirror.files), reverse=True) == list(stay)

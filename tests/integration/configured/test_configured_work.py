"""Keys under store, state, poll, downloads, hooks and retention, written in a configuration, change what is done."""

from collections.abc import Callable
from datetime import timedelta

import anyio
import pytest

from artifact_sync.core.events import Audited, HookEnded, TransferEnded, TrashEmptied
from artifact_sync.errors import NoSpace
from artifact_sync.simulator import World, big
from artifact_sync.simulator.faults import Fault, Trickle, Truncate
from tests.integration.configured.configured import DAY, HOUR, Mirror


async def running(mirror: Mirror, more: str, *stages: Callable[[], object]) -> None:
    """The daemon, until each of them has been true in turn. Raises TimeoutError."""
    async with mirror.engine(more=more) as engine, anyio.create_task_group() as group:
        group.start_soon(engine.run)
        with anyio.fail_after(20):
            for holds in stages:
                while not holds():  # noqa: ASYNC110 -- what is waited for rings no bell here
                    await anyio.sleep(0.05)
        group.cancel_scope.cancel()


def looks(world: World) -> int:
    """How often the project's pipelines were listed."""
    return sum(seen.path.endswith("/pipelines") for seen in world.requests)


async def test_store_and_state_lie_at_their_path(mirror, app, tmp_path):
    """And nowhere else."""
    mirror.build(app, "build")
    await mirror.sync(more="{store: {path: deep/store}, state: {path: other/state.db}}")
    assert len(list((tmp_path / "deep" / "store" / "tree").rglob("artifacts.zip"))) == 1
    assert (tmp_path / "other" / "state.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "other", "token"}


async def test_below_min_free_nothing_is_fetched(mirror, app):
    """No disk has so much."""
    mirror.build(app, "build")
    with pytest.raises(NoSpace, match="min_free"):
        await mirror.sync(more="store: {min_free: 8000TiB}")
    assert mirror.jobs == []


@pytest.mark.parametrize(("backfill", "taken"), [("none", []), ("5d", ["new"]), ("all", ["new", "old"])])
async def test_backfill_is_how_far_the_first_pass_goes_back(mirror, app, backfill, taken):
    """To nothing, some days, or the beginning."""
    mirror.build(app, "old", ago=60 * DAY)
    mirror.build(app, "new", ago=DAY)
    await mirror.sync(more=f"poll: {{backfill: {backfill}}}")
    assert mirror.jobs == taken


@pytest.mark.parametrize(("settle", "taken"), [("0s", ["now", "then"]), ("1h", ["then"])])
async def test_settle_is_waited_for_after_a_job_has_ended(mirror, app, settle, taken):
    """One has just ended."""
    mirror.build(app, "then", ago=3 * HOUR)
    mirror.build(app, "now", ago=timedelta())
    await mirror.sync(more=f"poll: {{settle: {settle}}}")
    assert mirror.jobs == taken


async def test_a_busy_project_is_polled_in_the_interval(mirror, app, world):
    """With the usual minute the second job would not be here in time."""
    mirror.build(app, "first", ago=timedelta())

    def first() -> bool:
        """Is here, and then comes the next one."""
        return mirror.jobs == ["first"] and bool(mirror.build(app, "second", ago=timedelta()))

    await running(mirror, "poll: {interval: 1s}", first, lambda: len(mirror.jobs) > 1)
    assert mirror.jobs == ["first", "second"]
    assert looks(world) >= 2


async def test_an_idle_project_is_polled_in_the_max_interval(mirror, app, world):
    """Nothing has happened in it for months: with the usual half an hour it would be asked for once."""
    mirror.build(app, "old", ago=90 * DAY)
    await running(mirror, "poll: {interval: 1s, max_interval: 1s}", lambda: looks(world) >= 8)
    assert not mirror.jobs


async def test_an_audit_comes_as_often_as_it_says(mirror, app):
    """Two within seconds, and not one where it is null."""
    mirror.build(app, "build")
    await running(mirror, "poll: {interval: 1s, audit: 1s}", lambda: len(mirror.of(Audited)) >= 2)
    mirror.events.clear()
    mirror.build(app, "later", ago=timedelta())
    await running(mirror, "poll: {interval: 1s, audit: null}", lambda: "later" in mirror.jobs)
    assert mirror.of(Audited) == []


@pytest.mark.parametrize(
    ("downloads", "several"),
    [
        ("{segments: 4, segment_above: 1MiB}", True),
        ("{segments: 1, segment_above: 1MiB}", False),
        ("{segments: 4, segment_above: 1GiB}", False),
    ],
)
async def test_a_large_archive_comes_in_segments(mirror, app, world, downloads, several):
    """Over connections of which each is slow; by default one of this size is not large."""
    mirror.build(app, "build", archive=big(24 << 20))
    world.faults.add(Fault(action=Trickle(size=1 << 18, seconds=0.05), path="/artifacts$", times=None))
    await mirror.sync(more=f"downloads: {downloads}")
    assert mirror.jobs == ["build"]
    assert any("Range" in seen.headers for seen in world.requests if seen.path.endswith("/artifacts")) == several


@pytest.mark.parametrize("attempts", [1, 2])
async def test_attempts_are_made_before_a_transfer_is_left(mirror, app, attempts):
    """Of a download that is cut each time."""
    mirror.build(app, "build")
    mirror.world.faults.add(Fault(action=Truncate(after=100), path="/artifacts$", times=None))
    report = await mirror.sync(more=f"downloads: {{attempts: {attempts}}}")
    assert (len(mirror.of(TransferEnded)), report.failed) == (attempts, 1)


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_hook_is_run_again_as_often_as_retries_says(mirror, app, retries):
    """After the first attempt."""
    mirror.build(app, "build")
    report = await mirror.sync("after: {command: [/bin/false]}", f"hooks: {{retries: {retries}}}")
    assert (len(mirror.of(HookEnded)), report.hooks_failed) == (1 + retries, 1)


async def test_a_hook_ends_at_its_timeout(mirror, app):
    """By default the pass would wait for minutes."""
    mirror.build(app, "build")
    report = await mirror.sync("after: {command: [/bin/sleep, '300']}", "hooks: {timeout: 1s, retries: 0}")
    assert report.hooks_failed == 1


@pytest.mark.parametrize(("trash", "emptied"), [("0s", True), ("7d", False)])
async def test_the_trash_is_emptied_after_its_time(mirror, app, trash, emptied):
    """At once, or not yet."""
    for days in (2, 1):
        mirror.build(app, "build", ago=days * DAY)
    more = f"retention: {{max_delete: 100%, trash: {trash}}}"
    for _ in range(2):
        await mirror.sync("retain: {last: 1}", more)
    assert bool(mirror.of(TrashEmptied)) == emptied
    assert bool(list((mirror.folder / "mirror" / ".trash").rglob("artifacts.zip"))) != emptied


@pytest.mark.parametrize(("share", "left"), [("10%", 4), ("100%", 1)])
async def test_a_prune_removes_no_more_than_max_delete(mirror, app, share, left):
    """Three of four would go."""
    for days in range(4):
        mirror.build(app, "build", ago=days * DAY + HOUR)
    await mirror.sync("retain: {last: 1}", f"retention: {{max_delete: {share}}}")
    assert len(mirror.jobs) == left

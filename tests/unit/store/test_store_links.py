"""Links on a local disk: what readers see at every moment, what a crash leaves, and what others put there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from artifact_sync.core.newest import LatestBy, Link, Linkable
from artifact_sync.errors import Obstructed, StoreError
from artifact_sync.store import LocalStore, StoreView
from tests.storage import HOUR, NOW, publication, transfer

LINK = Link("group/app/latest")


async def published(store: LocalStore, job_id: int, *, ended: timedelta = HOUR, ref: str = "v1.0") -> Linkable:
    """Publish a job that ended so long before now."""
    of = transfer(job_id, dest=f"group/app/{job_id}", names=("job.log",))
    of = replace(of, job=replace(of.job, finished_at=NOW - ended, ref=ref))
    await store.publish(await publication(store, {"job.log": f"{job_id}".encode()}, of=of))
    return Linkable(of.dest, of.job)


async def test_the_link_is_relative(tmp_path):
    """The store may be mounted elsewhere, where readers follow it as well."""
    async with LocalStore.open(tmp_path / "mirror") as store:
        to = await published(store, 1)
        for path, text in {"group/app/latest": "1", "group/latest": "app/1", "x/y": "../group/app/1"}.items():
            await store.links.point(Link(path), to)
            assert (tmp_path / "mirror/tree" / path).readlink() == Path(text)
    (tmp_path / "mirror").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/tree/group/app/latest/job.log").read_bytes() == b"1"


@contextmanager
def reader(link: Path) -> Iterator[list[str]]:
    """Follows the link again and again, as another program does; what it saw, and what was missing there."""
    seen: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                content = (link / "job.log").read_text()
                whole = (link / "SHA256SUMS").is_file() and (link / ".artifact-sync.json").is_file()
            except FileNotFoundError:
                content, whole = "missing", link.is_symlink()
            said = content if whole else f"half: {content}"
            if not seen or seen[-1] != said:
                seen.append(said)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


async def test_a_reader_finds_a_whole_publication_at_every_moment(tmp_path):
    """While fifty of them land, in no order, the link only ever moves on."""
    link = tmp_path / "mirror/tree" / LINK.path
    async with LocalStore.open(tmp_path / "mirror") as store:
        await store.links.point(LINK, await published(store, 1, ended=timedelta(minutes=100)))
        with reader(link) as seen:

            async def one(job_id: int) -> None:
                await store.links.point(LINK, await published(store, job_id, ended=timedelta(minutes=100 - job_id)))

            async with anyio.create_task_group() as group:
                for job_id in sorted(range(2, 52), key=lambda number: number * 7 % 53):
                    group.start_soon(one, job_id)
    seen.append((link / "job.log").read_text())
    # One read may see a file of the publication before and then one of the next: both are whole.
    order = [int(content) for content in seen]
    assert order == sorted(order)
    assert order[-1] == 51


async def test_swaps_of_one_link_take_turns(tmp_path):
    """Each reads where the link points, judges, and swaps: two of them at once could end at the older one."""
    async with LocalStore.open(tmp_path / "mirror") as store:
        ready = [await published(store, number, ended=timedelta(minutes=99 - number)) for number in range(1, 13)]
        for number in range(40):
            link = Link(f"group/app/newest-{number}")
            async with anyio.create_task_group() as group:
                for to in ready[number % 7 :] + ready[: number % 7]:
                    group.start_soon(store.links.point, link, to)
            assert await store.links.pointed([link.path]) == {link.path: "group/app/12"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.permutations(range(1, 7)),
    ends=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    refs=st.lists(st.sampled_from(["v1.0.0", "v1.2.0", "v2.0.0-rc.1", "main"]), min_size=6, max_size=6),
    by=st.sampled_from(list(LatestBy)),
)
def test_any_order_of_arrival_ends_at_the_newest(tmp_path_factory, arrivals, ends, refs, by):
    """And at every step at the newest of those that have arrived."""
    link = Link(LINK.path, by)

    async def world() -> None:
        async with LocalStore.open(tmp_path_factory.mktemp("any") / "mirror") as store:
            arrived: list[Linkable] = []
            for number in arrivals:
                index = number - 1
                arrived.append(await published(store, number, ended=ends[index] * HOUR, ref=refs[index]))
                await store.links.point(link, arrived[-1])
                newest = max(arrived, key=lambda each: each.rank(by))
                assert await store.links.pointed([link.path]) == {link.path: newest.dest}

    anyio.run(world)


@pytest.mark.parametrize(
    "target",
    [
        "gone",
        "../app/gone",
        "/etc",
        "../../../..",
        "../../../group/app/2",
        ".",
        "../app",
        "half",
        "broken",
        "/group/app/2",
    ],
)
async def test_a_link_that_leads_to_no_publication_is_repaired(tmp_path, target):
    """Also one that leads out of the tree: it counts as none, and nothing behind it is read or changed."""
    link = tmp_path / "mirror/tree" / LINK.path
    async with LocalStore.open(tmp_path / "mirror") as store:
        older = await published(store, 1, ended=9 * HOUR)
        await published(store, 2)
        (link.parent / "half").mkdir()
        (link.parent / "broken").mkdir()
        (link.parent / "broken/.artifact-sync.json").write_text('{"version": 1, "transfer": {')
        link.symlink_to(target)
        assert await store.links.point(LINK, older)
    assert link.readlink() == Path("1")


@pytest.mark.parametrize("target", ["2/", "./2", "../app/2"])
async def test_a_link_may_be_written_in_other_ways(tmp_path, target):
    """What somebody made by hand points at the same publication, and does not move back from it."""
    link = tmp_path / "mirror/tree" / LINK.path
    async with LocalStore.open(tmp_path / "mirror") as store:
        older, newer = await published(store, 1, ended=9 * HOUR), await published(store, 2)
        link.symlink_to(target)
        assert not await store.links.point(LINK, older)
        assert await store.links.pointed([LINK.path]) == {LINK.path: newer.dest}
        assert await store.linked() == {newer.dest}


async def test_a_link_to_what_a_newer_program_published_stays(tmp_path):
    """Whether that is newer, only that program can say."""
    async with LocalStore.open(tmp_path / "mirror") as store:
        one, two = await published(store, 1), await published(store, 2)
        await store.links.point(LINK, two)
        (tmp_path / "mirror/tree/group/app/2/.artifact-sync.json").unlink()
        (tmp_path / "mirror/tree/group/app/2/.artifact-sync.json").write_text('{"version": 2}')
        with pytest.raises(StoreError, match="version 2"):
            await store.links.point(LINK, one)
        assert await store.links.pointed([LINK.path]) == {LINK.path: two.dest}


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_what_somebody_put_there_is_left_alone(tmp_path, kind):
    """A link never replaces anything but a link."""
    link = tmp_path / "mirror/tree" / LINK.path
    async with LocalStore.open(tmp_path / "mirror") as store:
        to = await published(store, 1)
        if kind == "file":
            link.write_text("mine")
        else:
            link.mkdir()
        with pytest.raises(Obstructed, match="something else stands there"):
            await store.links.point(LINK, to)
    assert link.exists()
    assert not link.is_symlink()


async def test_no_link_is_followed_to_make_one(tmp_path):
    """Somebody who may write in the tree could else have links made anywhere."""
    (tmp_path / "outside").mkdir()
    async with LocalStore.open(tmp_path / "mirror") as store:
        to = await published(store, 1)
        (tmp_path / "mirror/tree/x").symlink_to(tmp_path / "outside")
        with pytest.raises(Obstructed):
            await store.links.point(Link("x/latest"), to)
    assert list((tmp_path / "outside").iterdir()) == []


async def test_a_manifest_is_not_read_through_a_link(tmp_path):
    """What the link names must be the publication itself."""
    link = tmp_path / "mirror/tree" / LINK.path
    async with LocalStore.open(tmp_path / "mirror") as store:
        older = await published(store, 1, ended=9 * HOUR)
        await published(store, 2)
        (link.parent / "alias").symlink_to("2")
        link.symlink_to("alias")
        assert await store.links.point(LINK, older)
    assert link.readlink() == Path("1")


async def test_others_see_where_links_point_without_the_lock(tmp_path):
    """Beside the daemon; of another store they see nothing."""
    async with LocalStore.open(tmp_path / "mirror") as store:
        to = await published(store, 1)
        await store.links.point(LINK, to)
        view = StoreView(tmp_path / "mirror", identity=store.identity)
        assert await view.links.pointed([LINK.path, "none"]) == {LINK.path: to.dest}
        other = StoreView(tmp_path / "mirror", identity="other")
        assert await other.links.pointed([LINK.path]) == {}

"""What every store must do with links to the newest publication."""

import random
from datetime import timedelta

import anyio
import pytest
from msgspec.structs import replace

from artifact_sync.core.newest import LatestBy, Link, Linkable
from artifact_sync.errors import Obstructed, StoreError
from artifact_sync.ports import Publication, Store
from tests.storage import HOUR, NOW, publication, transfer

LINK = Link("group/app/v1.0/package/latest")


async def published(store: Store, job_id: int, *, ended: timedelta = HOUR, ref: str = "v1.0", dest: str | None = None):
    """Publish a job that ended so long before now."""
    of = transfer(job_id, dest=dest, names=("job.log",))
    of = replace(of, job=replace(of.job, finished_at=NOW - ended, ref=ref))
    await store.publish(await publication(store, {"job.log": f"{job_id}".encode()}, of=of))
    return Linkable(of.dest, of.job)


async def at(store: Store, link: Link = LINK) -> str | None:
    """Where the link points."""
    return (await store.links.pointed([link.path])).get(link.path)


async def test_a_link_moves_to_what_is_newer_and_never_back(store):
    """In whatever order the publications come."""
    assert await at(store) is None
    older = await published(store, 1, ended=3 * HOUR)
    newer = await published(store, 2, ended=2 * HOUR)
    oldest = await published(store, 3, ended=4 * HOUR)
    newest = await published(store, 4, ended=HOUR)
    for to, moves, end in ((older, True, older), (newer, True, newer), (oldest, False, newer), (newest, True, newest)):
        assert await store.links.point(LINK, to) is moves
        assert await at(store) == end.dest


async def test_pointing_again_changes_nothing(store):
    """A start that finds everything done says so."""
    to = await published(store, 1)
    assert await store.links.point(LINK, to)
    assert await store.links.point(LINK, to)
    assert await at(store) == to.dest


async def test_by_version_an_older_release_may_end_later(store):
    """A fix of an old line is not the newest release."""
    link = Link(LINK.path, LatestBy.VERSION)
    high = await published(store, 1, ref="v2.10.0", ended=3 * HOUR)
    low = await published(store, 2, ref="v2.9.1", ended=HOUR)
    for to in (low, high, low):
        await store.links.point(link, to)
    assert await at(store) == high.dest
    assert await store.links.point(Link(LINK.path, LatestBy.FINISHED), low)


async def test_nothing_points_at_what_is_not_published(store):
    """Not even for a moment: the publication comes first."""
    there = await published(store, 1)
    ghost = Linkable("group/app/v1.0/package/9", there.job)
    assert not await store.links.point(LINK, ghost)
    assert await at(store) is None


@pytest.mark.parametrize("dest", ["1", "group/1", "group/app/v1.0/package/x/y/1", "other/1"])
async def test_a_link_and_its_publication_may_lie_anywhere(store, dest):
    """Side by side, above and below each other's folders."""
    to = await published(store, 1, dest=dest)
    for path in ("latest", "group/latest", "group/app/v1.0/package/latest"):
        assert await store.links.point(Link(path), to)
        assert await store.links.pointed([path]) == {path: dest}


@pytest.mark.parametrize("path", ["", "/x", "a//b", "..", "a/../b", "a/.x", "SHA256SUMS", "a/SHA256SUMS", "a\0b"])
async def test_a_link_that_leads_astray_is_refused(store, path):
    """Encoding is the core's work; the store trusts no string."""
    to = await published(store, 1)
    with pytest.raises(StoreError):
        await store.links.point(Link(path), to)


async def test_a_publication_in_the_way_is_never_replaced(store):
    """Nor one that lies below the link's path; the error says which link, and what to do."""
    to = await published(store, 1)
    for path in (to.dest, "group/app"):
        with pytest.raises(Obstructed, match=path) as caught:
            await store.links.point(Link(path), to)
        assert "publish.latest" in caught.value.hint
        assert await store.links.pointed([path]) == {}


async def test_nothing_is_published_through_a_link(store):
    """It would end up in another publication's directory."""
    to = await published(store, 1, dest="a/1")
    await store.links.point(Link("a/latest"), to)
    for dest in ("a/latest", "a/latest/2"):
        through = await publication(store, {"job.log": b"2"}, of=transfer(2, dest=dest, names=("job.log",)))
        with pytest.raises(Obstructed) as caught:
            await store.publish(through)
        assert "publish.latest" in caught.value.hint
        with pytest.raises(Obstructed):
            await store.links.point(Link(f"{dest}/newest"), to)


async def test_links_that_nobody_made_are_not_there(store):
    """Asked about, they are left out."""
    to = await published(store, 1)
    await store.links.point(LINK, to)
    assert await store.links.pointed(["none", "group/none", LINK.path, to.dest]) == {LINK.path: to.dest}


async def test_many_at_once_end_at_the_newest(store):
    """Workers that publish for one link take turns."""
    jobs = list(range(1, 31))
    random.Random(7).shuffle(jobs)

    async def one(job_id: int) -> None:
        to = await published(store, job_id, ended=timedelta(minutes=100 - job_id))
        await store.links.point(LINK, to)

    async with anyio.create_task_group() as group:
        for job_id in jobs:
            group.start_soon(one, job_id)
    assert await at(store) == "group/app/v1.0/package/30"


async def test_a_link_is_there_after_reopening(open_store):
    """And goes on from where it was."""
    async with open_store() as store:
        newer = await published(store, 1)
        await store.links.point(LINK, newer)
    async with open_store() as store:
        older = await published(store, 2, ended=9 * HOUR)
        assert not await store.links.point(LINK, older)
        assert await at(store) == newer.dest


async def test_a_publication_that_is_there_can_be_published_again_behind_a_link(store):
    """The link points at the directory, so what it gains is seen through it."""
    to = await published(store, 1)
    await store.links.point(LINK, to)
    more = await publication(store, {"artifacts.zip": b"PK"}, of=transfer(1, dest=to.dest))
    await store.publish(Publication(transfer=more.transfer, files=more.files, at=NOW))
    assert await at(store) == to.dest
    assert await store.has(to.dest, more.files)

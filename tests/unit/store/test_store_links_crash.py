"""Swapping a link is stopped and failed at every single call of the operating system."""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from artifact_sync.core.newest import Link, Linkable
from artifact_sync.ports import Publication
from artifact_sync.store import LocalStore
from tests.storage import HOUR, NOW, publication, transfer
from tests.unit.store.disturbing import TYPED, Ask, child

LINK = Link("a/b/latest")
MOST_CALLS = 200


@pytest.fixture(scope="module")
def point() -> Iterator[Ask]:
    """Points the link of a store in a process of its own."""
    with child("publish_child") as ask:
        yield partial(ask, latest=LINK)


async def scene(path: Path, *, linked: bool) -> tuple[Path, Publication]:
    """A store with two publications, the older of which is ``linked`` or none, and the newer one."""
    async with LocalStore.open(path / "template") as store:
        wanted = []
        for job_id in (1, 2):
            of = transfer(job_id, dest=f"a/{job_id}", names=("job.log",))
            of = replace(of, job=replace(of.job, finished_at=NOW - HOUR + timedelta(minutes=job_id)))
            wanted.append(await publication(store, {"job.log": f"{job_id}".encode()}, of=of))
            await store.publish(wanted[-1])
        if linked:
            await store.links.point(LINK, Linkable("a/1", wanted[0].transfer.job))
    return path / "template", wanted[1]


def seen(store: Path) -> str:
    """What a reader of the link finds."""
    link = store / "tree" / LINK.path
    if not link.is_symlink():
        assert not link.exists()
        return "none"
    return (link / "job.log").read_text()


def fresh(template: Path, at: Path) -> Path:
    """The store again."""
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(template, at, symlinks=True)
    return at


async def heal(store: Path, wanted: Publication) -> None:
    """The next start: staging is swept, and the link is pointed again."""
    async with LocalStore.open(store) as opened:
        await opened.sweep(lambda _: False)
        assert await opened.links.point(LINK, Linkable(wanted.transfer.dest, wanted.transfer.job))
    assert seen(store) == "2"
    assert list((store / ".staging").iterdir()) == []


@pytest.mark.parametrize("linked", [True, False], ids=["from the older one", "from nowhere"])
async def test_killed_at_any_call_a_link_is_at_one_or_the_other(point, tmp_path, linked):
    """Never at nothing, never at a half; and the next start completes it."""
    template, wanted = await scene(tmp_path, linked=linked)
    before = "1" if linked else "none"
    found: Counter[str] = Counter()
    for at in range(1, MOST_CALLS):
        store = fresh(template, tmp_path / "store")
        if point(store=store, publication=wanted, at=at, how="kill")["result"] == "done":
            break
        found[seen(store)] += 1
        await heal(store, wanted)
    else:
        pytest.fail("it never ended")
    # Most calls come before the rename, and its fsync after it.
    assert set(found) == {before, "2"}


@pytest.mark.parametrize("how", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
async def test_failing_at_any_call_leaves_one_or_the_other(point, tmp_path, how, sticky):
    """The error says what to do, and a later call completes it."""
    template, wanted = await scene(tmp_path, linked=True)
    results: Counter[str] = Counter()
    for at in range(1, MOST_CALLS):
        store = fresh(template, tmp_path / "store")
        answer = point(store=store, publication=wanted, at=at, how=how, sticky=sticky)
        assert answer["result"] in TYPED
        assert seen(store) in {"1", "2"}
        results[answer["result"]] += 1
        await heal(store, wanted)
        if answer["calls"] < at:
            break
    else:
        pytest.fail("it never ended")
    assert results[{"ENOSPC": "NoSpace", "EIO": "StoreDamaged"}[how]] > 5


async def test_the_publication_is_durable_before_the_link_and_the_link_before_the_answer(point, tmp_path):
    """A link is made aside, renamed into place, and its folder is synced behind that."""
    template, wanted = await scene(tmp_path, linked=False)
    trace = point(store=template, publication=wanted)["trace"]
    steps = [line for line in trace if line.split()[0] in {"mkdir", "symlink", "rename", "fsync"}]
    assert [line.split()[0] for line in steps] == ["mkdir", "fsync", "symlink", "rename", "fsync"]
    assert steps[1] == f"fsync {template}/tree/a"
    assert steps[3].endswith(f"{template}/tree/a/b/latest")
    assert steps[4] == f"fsync {template}/tree/a/b"

"""Single files of an archive come by whatever way is open, and are the same by each of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from artifact_sync.core.file_patterns import items_of
from artifact_sync.core.model import Item
from artifact_sync.errors import Corrupt, NotFound, TooLarge, Transient
from artifact_sync.ports import PartRecord
from artifact_sync.simulator import World
from artifact_sync.simulator.archives import raw
from artifact_sync.simulator.faults import Answer, Cut, Fault
from artifact_sync.simulator.world import Delivery
from tests.integration.fetch.files_harness import ARCHIVE, scene_of, written
from tests.zips import craft, text

NOISE = random.Random(11)
#: Files that are wanted, between some that are not and that make the archive worth not being fetched.
WANTED = {"dist/a.bin": NOISE.randbytes(300_000), "dist/b.txt": b"text " * 50_000, "dist/empty": b"", "dist/ä ö": b"x"}
OTHERS = {"log/1": NOISE.randbytes(1_500_000), "dist/sub/c.bin": b"deep", "log/2": NOISE.randbytes(1_500_000)}
FILES = dict(sorted((WANTED | OTHERS).items(), key=lambda pair: pair[0][::-1]))
EXPECTED = {
    "files/dist/a.bin": WANTED["dist/a.bin"],
    "files/dist/b.txt": WANTED["dist/b.txt"],
    "files/dist/empty": b"",
    "files/dist/%C3%A4 %C3%B6": b"x",
}
EXACT = list(WANTED)

WAYS: dict[str, tuple[dict[str, Any], list[str], tuple[Item, ...]]] = {
    "archive at hand": ({}, ["dist/*"], (ARCHIVE,)),
    "single files": ({"ranges": False, "tree": False}, EXACT, ()),
    "listed files": ({"ranges": False}, ["dist/*"], ()),
    "ranges of the archive": ({}, ["dist/*"], ()),
    "whole archive": ({"ranges": False, "tree": False}, ["dist/*"], ()),
}


@pytest.mark.parametrize("etags", [True, False])
@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_brings_the_same_bytes(tmp_path, way, delivery, etags):
    """One job, its files taken in five ways, with and without ETags, from disk, behind a redirect and through a proxy."""
    server, files, extra = WAYS[way]
    world = World(delivery=delivery)
    world.etags = etags
    async with scene_of(tmp_path, written(FILES), world=world, **server) as scene:
        found = await scene.fetch(*files, extra=extra)

        found.pop("artifacts.zip", None)
        assert found == EXPECTED
        assert scene.ways == [way]
        assert all(seen.headers.get("PRIVATE-TOKEN") is None for seen in world.requests if seen.origin == "storage")


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("stored", [False, True])
async def test_ranges_of_every_kind_of_archive(tmp_path, stored, zip64):
    """Stored and deflated, with data descriptors, in zip64 records where nothing asks for them."""
    async with scene_of(tmp_path, written(FILES, stored=stored, zip64=zip64)) as scene:
        assert await scene.fetch("dist/*") == EXPECTED
        assert scene.ways == ["ranges of the archive"]


async def test_a_server_without_ranges_and_lists_is_asked_for_them_once(tmp_path):
    """What a client learns it remembers, so that the second transfer goes straight to the whole archive."""
    async with scene_of(tmp_path, written(FILES), ranges=False, tree=False) as scene:
        assert await scene.fetch("dist/*") == EXPECTED
        assert scene.closed == {
            "ranges of the archive": "the server sends no ranges of archives",
            "listed files": "the server does not list the files of archives",
        }
        before = len(scene.asked())
        assert await scene.fetch("dist/*") == EXPECTED
        assert len(scene.asked()) == before + 1


async def test_a_file_called_tree_is_not_taken_for_the_list(tmp_path):
    """An older server sends that file instead, whatever it looks like."""
    for number, content in enumerate([b"oak", b"[", b'{"a": 1}', b"[1]"]):
        archive = written(FILES | {"tree": content})
        async with scene_of(tmp_path / str(number), archive, ranges=False, tree=False) as scene:
            assert await scene.fetch("dist/*") == EXPECTED
            assert scene.ways == ["whole archive"]


async def test_a_list_of_several_pages(tmp_path):
    """Every page counts, and each file is one more request."""
    files = {f"many/{number}": b"" for number in range(250)}
    async with scene_of(tmp_path, written(FILES | files), ranges=False, attempts=2) as scene:
        # The list costs as much as eleven requests here, so that pages are cheap beside the archive.
        assert await scene.fetch("dist/*") == EXPECTED
        assert len(scene.asked("/artifacts/tree")) == 3
        assert scene.ways == ["listed files"]


async def test_a_small_archive_is_fetched_as_a_whole(tmp_path):
    """One request, where anything else would take several."""
    async with scene_of(tmp_path, written({"a": b"1", "b": b"2", "c": b"3"})) as scene:
        assert await scene.fetch("a", "b") == {"files/a": b"1", "files/b": b"2"}
        assert scene.asked() == [200]
        assert scene.parts == ["1-member0.part", "1-member1.part"]


async def test_an_archive_that_is_published_too_is_asked_for_once(tmp_path):
    """Its files cost no request."""
    async with scene_of(tmp_path, written(FILES)) as scene:
        found = await scene.fetch("dist/b.txt", "dist/sub/*", extra=[ARCHIVE])

        assert set(found) == {"artifacts.zip", "files/dist/b.txt", "files/dist/sub/c.bin"}
        assert scene.asked() == [200]


LISTING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "single files": ({"ranges": False, "tree": False}, []),
    "listed files": ({"ranges": False}, ["no/*?"]),
    "ranges of the archive": ({}, ["no/*?"]),
    "whole archive": ({"ranges": False, "tree": False}, ["no/*?"]),
}


@pytest.mark.parametrize("way", LISTING)
async def test_a_missing_file_is_an_error_unless_it_is_optional(tmp_path, way):
    """By every way, and nothing stays in staging."""
    server, more = LISTING[way]
    async with scene_of(tmp_path, written(FILES), **server) as scene:
        with pytest.raises(NotFound, match="has no file no/such") as caught:
            await scene.fetch("dist/b.txt", "no/such", *more)
        assert "fetch.files of the rule r" in caught.value.hint
        assert scene.parts == []

        assert set(await scene.fetch("dist/b.txt", "no/such?", *more)) == {"files/dist/b.txt"}


@pytest.mark.parametrize("way", ["listed files", "ranges of the archive", "whole archive"])
async def test_a_pattern_that_matches_nothing_is_said(tmp_path, way):
    """In the log, and only if it is not optional; it is no error."""
    async with scene_of(tmp_path, written(FILES), **LISTING[way][0]) as scene:
        assert await scene.fetch("*.whl", "*.exe?", "!dist/**") == {}
        assert [entry["pattern"] for entry in scene.told("files.unmatched")] == ["*.whl !dist/**"]


async def test_files_that_are_too_many_bytes_together(tmp_path):
    """Refused before they come where their sizes are known, and at the latest when they are too many."""
    limit = len(WANTED["dist/a.bin"]) + 1000
    for number, (ranges, files) in enumerate([(True, ["dist/*"]), (False, ["dist/*"]), (True, EXACT[:2])]):
        async with scene_of(tmp_path / str(number), written(FILES), ranges=ranges) as scene:
            with pytest.raises(TooLarge, match=f"max_size is {limit}"):
                await scene.fetch(*files, max_size=limit)
            assert scene.parts == []


async def test_more_files_than_an_archive_may_give(tmp_path):
    """A pattern that is far too wide ends before the first file."""
    async with scene_of(tmp_path, written(FILES), members=3) as scene:
        with pytest.raises(TooLarge, match="4 files match, more than 3"):
            await scene.fetch("dist/*")


DAMAGED = {
    "CRC": text("dist/a", NOISE.randbytes(1000), crc=1),
    "name": text("dist/a", NOISE.randbytes(1000), local_name=b"dist/b"),
    "size": text("dist/a", b"some text " * 200, size=1999),
    "descriptor": text("dist/a", b"some text", flags=8, descriptor=b"PK\x07\x08" + bytes(12)),
}


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_damaged_member_is_never_taken(tmp_path, damage):
    """Not by ranges, and not out of the whole archive, which is looked at then; nothing is staged."""
    padding = text("pad", NOISE.randbytes(2_000_000), method=0)
    async with scene_of(tmp_path, raw(craft([text("dist/0"), DAMAGED[damage], padding]))) as scene:
        with pytest.raises(Corrupt):
            await scene.fetch("dist/*")
        assert scene.ways == ["ranges of the archive", "whole archive"]
        assert "dist/a" in scene.closed["ranges of the archive"]
        assert scene.parts == []


async def test_a_member_that_reaches_into_the_next_is_never_taken(tmp_path):
    """Its own header moves it there, though the directory has both side by side."""
    padding = text("pad", NOISE.randbytes(2_000_000), method=0)
    data = bytearray(craft([text("dist/a", b"x" * 99, method=0), text("dist/b", method=0), padding]))
    data[28] = 10  # bytes of the extra field behind the name
    async with scene_of(tmp_path, raw(bytes(data))) as scene:
        with pytest.raises(Corrupt):
            await scene.fetch("dist/*")
        assert "shares bytes" in scene.closed["ranges of the archive"]
        assert scene.parts == []


@pytest.mark.parametrize("ranges", [True, False])
async def test_an_archive_of_another_size_than_announced_is_not_taken(tmp_path, ranges):
    """GitLab's word counts by every way that sees the archive."""
    async with scene_of(tmp_path, written(FILES), ranges=ranges, tree=False) as scene:
        with pytest.raises(Corrupt, match="GitLab announced"):
            await scene.fetch("dist/*", grown=1)
        assert scene.parts == []


async def test_a_member_that_cannot_be_unpacked_here(tmp_path):
    """Wanted, it is an error that names it; not wanted, it is in nobody's way."""
    strange = text("dist/strange", b"x" * 50, method=93, packed=b"y" * 20)
    padding = text("pad", NOISE.randbytes(2_000_000), method=0)
    async with scene_of(tmp_path, raw(craft([text("dist/0"), strange, padding])), tree=False) as scene:
        with pytest.raises(Corrupt, match="packed by method 93"):
            await scene.fetch("dist/*")
        assert set(await scene.fetch("dist/*", "!dist/s*")) == {"files/dist/0"}


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"]])
async def test_files_that_cannot_stand_together(tmp_path, names):
    """Two of one name, and one where another's directory must be: no way guesses which is meant."""
    members = [text(name, content=bytes([number])) for number, name in enumerate(names)]
    padding = text("pad", NOISE.randbytes(2_000_000), method=0)
    for number, ranges in enumerate([True, False]):
        async with scene_of(tmp_path / str(number), raw(craft([*members, padding])), ranges=ranges) as scene:
            with pytest.raises(Corrupt, match="the archive has"):
                await scene.fetch("a", "a/*", "/^a$/")
            assert scene.parts == []


async def test_a_broken_range_goes_on_where_it_broke(tmp_path):
    """The rest alone is asked for, within the same member."""
    async with scene_of(tmp_path, written(FILES)) as scene:
        scene.world.faults.add(Fault(action=Cut(after=100_000), path="/artifacts$", nth=2))
        assert await scene.fetch("dist/*") == EXPECTED
        assert scene.asked() == [206, 206, 206]


LOST = Answer(status=404, body='{"message":"404 Not found"}', content_type="application/json")


@pytest.mark.parametrize("way", LISTING)
async def test_artifacts_that_are_gone_are_told_as_gone(tmp_path, way):
    """A 404 is the end where the job shows that its archive is gone."""
    server, more = LISTING[way]
    async with scene_of(tmp_path, written(FILES), **server) as scene:
        queued = await scene.queued(*items_of(["dist/b.txt", *more]))
        scene.world.erase(scene.job)
        with pytest.raises(NotFound, match="was erased"):
            await scene.fetcher.fetch(queued)
        assert scene.parts == []


@pytest.mark.parametrize(("ranges", "nth"), [(True, 1), (True, 2), (False, 1)])
async def test_an_archive_out_of_reach_is_tried_again(tmp_path, ranges, nth):
    """A 404 for what the job still lists proves nothing, be it the first answer or one between two ranges."""
    async with scene_of(tmp_path, written(FILES), ranges=ranges, tree=False) as scene:
        scene.world.faults.add(Fault(action=LOST, path="/artifacts$", nth=nth, times=None))
        with pytest.raises(Transient, match="still lists its archive"):
            await scene.fetch("dist/*")
        assert scene.parts == []


async def test_trouble_on_the_way_is_tried_again_later(tmp_path):
    """A server that has trouble is not driven to send everything instead."""
    async with scene_of(tmp_path, written(FILES)) as scene:
        scene.world.faults.add(Fault(action=Answer(status=503), path="/artifacts$", nth=2, times=None))
        with pytest.raises(Transient):
            await scene.fetch("dist/*")
        assert scene.parts == []
        assert scene.ways == ["ranges of the archive"]


async def test_a_stop_leaves_the_whole_archive_for_the_next_attempt(tmp_path):
    """What was proved once is continued, though it is not itself published."""
    async with scene_of(tmp_path, written(FILES), ranges=False, tree=False) as scene:
        # From here on the client knows that there is no other way.
        await scene.fetch("dist/empty", "dist/*")
        before = scene.parts
        queued = await scene.queued(Item(kind="files", name="files:dist/*", path="dist/*"))
        assert scene.job.archive is not None
        size = scene.job.archive.size
        scene.world.faults.clear()
        scene.world.faults.add(Fault(action=Cut(after=500_000), path="/artifacts$", times=None))
        with pytest.raises(Transient):
            await scene.fetcher.fetch(queued)
        record = await scene.state.part_record(queued.id, "artifacts.zip")
        assert record is not None
        assert record == PartRecord(
            transfer_id=queued.id, item="artifacts.zip", size=record.size, etag=record.etag, total=size
        )
        assert set(scene.parts) - set(before) == {f"{queued.id}-archive.part"}
        scene.world.faults.clear()

        staged = await scene.fetcher.fetch(queued)

        assert {file.name: scene.bytes_of(file) for file in staged} == EXPECTED
        assert all("archive" not in name for name in scene.parts)

"""What every store's trash must do, also with publications inside each other."""

import os
from pathlib import Path

import anyio
import pytest

from artifact_sync.errors import Obstructed
from artifact_sync.ports import Publication
from tests.storage import publication, transfer

FILES = {"artifacts.zip": b"zip", "files/a/b": b"b", "files/c": b"c"}
#: More than is listed together.
MANY = 1000


@pytest.fixture
def tree(tmp_path) -> Path:
    """Where publications stand."""
    return Path(tmp_path / "mirror" / "tree")


@pytest.fixture
def trash(tmp_path) -> Path:
    """Where they wait."""
    return Path(tmp_path / "mirror" / ".trash")


def found(root: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def published(store, dest="g/app/v1/build/7", files=FILES, job_id=7) -> Publication:
    """One that stands in the tree."""
    made = await publication(store, files, of=transfer(job_id, dest=dest, names=tuple(files)))
    await store.publish(made)
    return made


async def test_there_and_back(store, tree, trash):
    """Everything moves, empty directories go, and it comes back byte for byte."""
    made = await published(store)
    dest = made.transfer.dest
    before = found(tree)
    assert await store.trash.take(dest, made.files, "t")
    assert list(tree.iterdir()) == []
    assert {f"{dest}/{name}": content for name, content in found(trash / "t").items()} == before
    assert await store.trash.names() == ["t"]
    assert not await store.has(dest, made.files)
    assert await store.trash.take(dest, made.files, "t")
    assert await store.trash.give_back(dest, "t")
    assert found(tree) == before
    assert await store.has(dest, made.files)
    assert await store.trash.give_back(dest, "t")
    assert await store.trash.names() == []


async def test_nothing_to_take_or_to_give_back(store, tree):
    """What is not there is said not to be."""
    assert not await store.trash.take("g/app/1", (), "t")
    assert not await store.trash.give_back("g/app/1", "t")
    assert not await store.trash.discard("t")
    assert await store.trash.names() == []


async def test_what_has_neighbours_leaves_them(store, tree):
    """Directories go as far as they are empty, and the tree itself stays."""
    first, second = await published(store), await published(store, "g/app/v1/build/8", job_id=8)
    await store.trash.take(first.transfer.dest, first.files, "t")
    assert await store.has("g/app/v1/build/8", second.files)
    await store.trash.take(second.transfer.dest, second.files, "u")
    assert list(tree.iterdir()) == []


@pytest.mark.parametrize("inner", ["g/app/7/x/8", "g/app/7/files/a/8", "g/app/7/files/a/b2/c/8"])
async def test_a_publication_inside_another_stays(store, tree, trash, inner):
    """The outer one alone goes, and comes back around the inner one."""
    outer = await published(store, "g/app/7")
    other = await published(store, inner, job_id=8)
    before = found(tree)
    assert await store.trash.take("g/app/7", outer.files, "t")
    assert await store.has(inner, other.files)
    assert not await store.has("g/app/7", outer.files)
    inside = {name: content for name, content in before.items() if name.startswith(inner)}
    assert found(tree) == inside
    assert not (tree / "g/app/7/files/c").exists()
    assert {*found(trash / "t")} == {"artifacts.zip", "files/a/b", "files/c", "SHA256SUMS", ".artifact-sync.json"}
    assert await store.trash.give_back("g/app/7", "t")
    assert found(tree) == before
    assert await store.has("g/app/7", outer.files)
    assert await store.trash.names() == []


async def test_what_was_begun_file_by_file_is_completed(store, tree, trash):
    """Also where the other publication has gone meanwhile, so that one rename would do."""
    made = await published(store)
    (trash / "t").mkdir()
    (tree / made.transfer.dest / ".artifact-sync.json").rename(trash / "t" / ".artifact-sync.json")
    assert await store.trash.take(made.transfer.dest, made.files, "t")
    assert list(tree.iterdir()) == []
    assert await store.trash.give_back(made.transfer.dest, "t")
    assert await store.has(made.transfer.dest, made.files)


async def test_the_inner_publication_goes_alone(store, tree):
    """The outer one stays, whole, and so does its directory."""
    outer = await published(store, "g/app/7")
    other = await published(store, "g/app/7/x/8", job_id=8)
    assert await store.trash.take("g/app/7/x/8", other.files, "t")
    assert await store.has("g/app/7", outer.files)
    assert not (tree / "g/app/7/x").exists()


async def test_what_somebody_put_there_stays(store, tree):
    """It is nobody's to remove."""
    made = await published(store)
    note = tree / made.transfer.dest / "files" / "note.txt"
    note.write_text("mine")
    assert await store.trash.take(made.transfer.dest, made.files, "t")
    assert {*found(tree)} == {f"{made.transfer.dest}/files/note.txt"}


async def test_a_manifest_that_cannot_be_read_is_no_obstacle(store, tree):
    """The state knows the files as well."""
    made = await published(store)
    manifest = tree / made.transfer.dest / ".artifact-sync.json"
    manifest.chmod(0o600)
    manifest.write_text("{")
    assert await store.trash.take(made.transfer.dest, made.files, "t")
    assert list(tree.iterdir()) == []


async def test_nothing_is_overwritten_on_the_way_back(store, tree):
    """Where a file of the same name came to stand, it stays, and so does the one in the trash."""
    made = await published(store)
    dest = made.transfer.dest
    await store.trash.take(dest, made.files, "t")
    (tree / dest).mkdir(parents=True)
    (tree / dest / "artifacts.zip").write_bytes(b"other")
    with pytest.raises(Obstructed, match=r"artifacts\.zip is there already"):
        await store.trash.give_back(dest, "t")
    assert found(tree) == {f"{dest}/artifacts.zip": b"other"}
    (tree / dest / "artifacts.zip").unlink()
    assert await store.trash.give_back(dest, "t")
    assert await store.has(dest, made.files)


async def test_a_link_in_its_place_is_not_followed(store, tree, tmp_path):
    """Somebody moved the publication away and left a link: what it leads to is theirs."""
    made = await published(store)
    place, aside = tree / made.transfer.dest, tmp_path / "aside"
    place.rename(aside)
    place.symlink_to(aside)
    assert not await store.trash.take(made.transfer.dest, made.files, "t")
    assert (aside / "artifacts.zip").read_bytes() == b"zip"
    assert place.is_symlink()


async def test_objects_go_when_nobody_shares_them(store, tmp_path):
    """Those of the discarded publication alone; what the trash holds is shared still."""
    first = await published(store)
    second = await published(store, "g/app/8", {"artifacts.zip": b"zip", "job.log": b"log"}, job_id=8)
    await store.trash.take(first.transfer.dest, first.files, "t")
    assert await store.trash.unlinked(after="", limit=MANY) == []
    assert await store.trash.discard("t")
    shas = {file.name: file.sha256 for file in first.files}
    gone = sorted([shas["files/a/b"], shas["files/c"]])
    assert await store.trash.unlinked(after="", limit=MANY) == gone
    assert await store.trash.unlinked(after="", limit=1) == gone[:1]
    assert await store.trash.unlinked(after=gone[0], limit=MANY) == gone[1:]
    shared = second.files[0].sha256
    assert await store.trash.reclaim([*gone, shared]) == len(b"b") + len(b"c")
    assert await store.trash.unlinked(after="", limit=MANY) == []
    assert await store.trash.reclaim(gone) == 0
    assert await store.has("g/app/8", second.files)
    left = {path.name for path in (tmp_path / "mirror" / "objects").rglob("*") if path.is_file()}
    assert left == {file.sha256 for file in second.files}


async def test_pruned_bytes_can_be_published_again(store):
    """Also while their objects go."""
    made = await published(store)
    await store.trash.take(made.transfer.dest, made.files, "t")
    await store.trash.discard("t")
    again = await publication(store, FILES, of=made.transfer)
    async with anyio.create_task_group() as group:
        group.start_soon(store.publish, again)
        for file in made.files:
            group.start_soon(store.trash.reclaim, [file.sha256])
    assert await store.has(made.transfer.dest, again.files)


async def test_publishing_beside_pruning(store, tree):
    """Neighbours, and what lies inside, come while others go: nothing is taken along, and no directory is missing."""
    for number in range(1, 21):
        outer = await published(store, f"g/{number % 3}/app/7", {"job.log": b"%d" % number}, job_id=100 + number)
        inner = await publication(
            store,
            {"artifacts.zip": b"in %d" % number},
            of=transfer(number, dest=f"g/{number % 3}/app/7/x/{number}"),
        )
        async with anyio.create_task_group() as group:
            group.start_soon(store.trash.take, outer.transfer.dest, outer.files, f"t{number}")
            group.start_soon(store.publish, inner)
        assert await store.has(inner.transfer.dest, inner.files)
        assert not await store.has(outer.transfer.dest, outer.files)
    assert len(await store.trash.names()) == 20
    assert {Path(name).name for name in found(tree)} == {"artifacts.zip", "SHA256SUMS", ".artifact-sync.json"}


async def test_links_in_the_tree(store, tree):
    """Those that lead to somewhere in it, whatever is there; not those that lead out."""
    made = await published(store)
    (tree / "g/app/v1/build/latest").symlink_to("7")
    (tree / "g/newest").symlink_to("./app/../app/v1/build/7/")
    (tree / "dangling").symlink_to("g/app/v1/build/9")
    (tree / "outside").symlink_to("../../elsewhere")
    (tree / "absolute").symlink_to("/etc")
    assert made.transfer.dest == "g/app/v1/build/7"
    assert await store.linked() == {"g/app/v1/build/7", "g/app/v1/build/9"}


async def test_links_are_not_followed(store, tree):
    """A link to a directory above itself is no way to walk."""
    (tree / "g").mkdir()
    (tree / "g" / "up").symlink_to("..")
    (tree / "g" / "me").symlink_to("../g")
    assert await store.linked() == {"g"}


async def test_it_is_private(store, trash):
    """What was taken back from readers is not theirs any more."""
    made = await published(store)
    await store.trash.take(made.transfer.dest, made.files, "t")
    assert trash.stat().st_mode & 0o777 == 0o700
    assert os.access(trash / "t" / "artifacts.zip", os.R_OK)

"""Publishing is stopped and failed at every single call of the operating system."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.unpacking import Contents, Unpack
from artifact_sync.ports import Publication
from artifact_sync.store import LocalStore, manifest
from tests.storage import HOUR, NOW, publication, staged_file, transfer
from tests.unit.store.disturbing import TYPED, Ask, child

FIRST = {"artifacts.zip": b"PK" * 3000, "files/a/b.txt": b"same", "files/a/c.txt": b"same"}
GAINED = {"artifacts.zip": b"PK" * 3000, "files/a/d.txt": b"more", "job.log": b"log\n"}
MOST_CALLS = 600


@pytest.fixture(scope="module")
def publish() -> Iterator[Ask]:
    """Publishes in a process of its own."""
    with child("publish_child") as ask:
        yield ask


@dataclass
class Scene:
    """A store as it lies before the publication that is disturbed."""

    template: Path
    wanted: Publication
    expected: list[StagedFile]
    #: Whether every file that a manifest names must be there at every moment.
    strict: bool = True

    def fresh_copy(self, at: Path) -> Path:
        """The store again, links kept."""
        shutil.rmtree(at, ignore_errors=True)
        _copy_with_links(self.template, at)
        return at


def _copy_with_links(source: Path, target: Path) -> None:
    seen: dict[int, Path] = {}

    def copy(one: str, other: str) -> None:
        inode = Path(one).stat().st_ino
        if inode in seen:
            Path(other).hardlink_to(seen[inode])
        else:
            shutil.copy2(one, other)
            seen[inode] = Path(other)

    shutil.copytree(source, target, copy_function=copy)


async def fresh(path: Path) -> Scene:
    """Nothing stands at the destination."""
    async with LocalStore.open(path) as store:
        wanted = await publication(store, FIRST)
    return Scene(path, wanted, list(wanted.files))


async def gained(path: Path) -> Scene:
    """Another rule's files stand there; one is the same."""
    async with LocalStore.open(path) as store:
        earlier = await publication(store, FIRST)
        await store.publish(earlier)
        wanted = await publication(store, GAINED, of=transfer(names=tuple(GAINED), rules=("logs",)), at=NOW + HOUR)
    return Scene(path, wanted, [*earlier.files, *wanted.files])


async def damaged(path: Path) -> Scene:
    """The same was published, and its bytes have changed on disk since."""
    async with LocalStore.open(path) as store:
        await store.publish(await publication(store, FIRST))
        wanted = await publication(store, FIRST)
    broken = path / "tree" / wanted.transfer.dest / "artifacts.zip"
    broken.chmod(0o600)
    broken.write_bytes(b"PX" * 3000)
    return Scene(path, wanted, list(wanted.files), strict=False)


async def unpacked(path: Path) -> Scene:
    """An archive that is published as the files in it alone; two have the same bytes, and one of them can be executed."""
    async with LocalStore.open(path) as store:
        given = await publication(store, {"artifacts.zip": b"PK"})
    into = path / ".staging" / "7-content"
    (into / "a").mkdir(parents=True)
    contents = {"a/run": b"same", "a/b.txt": b"same", "c": b"more"}
    files = [msgspec.structs.replace(given.files[0], published=False, contents=Contents())]
    for name, content in contents.items():
        (into / name).write_bytes(content)
        file = staged_file(f"content/{name}", content, f"7-content/{name}")
        files.append(msgspec.structs.replace(file, path=name, executable=name == "a/run"))
    item = Item(kind="archive", name="artifacts.zip", unpack=Unpack.ONLY)
    wanted = Publication(
        transfer=msgspec.structs.replace(given.transfer, items=(item,)), files=tuple(files), at=given.at
    )
    return Scene(path, wanted, files)


SCENES = {"fresh": fresh, "gained": gained, "damaged": damaged, "unpacked": unpacked}


def look(store: Path, scene: Scene) -> None:
    """Whatever is visible is whole, and proved by what lies beside it."""
    good = {file.name: file.sha256 for file in scene.expected}
    for path in (store / "tree").rglob("*"):
        if not path.is_file() or path.name in {"SHA256SUMS", ".artifact-sync.json"}:
            continue
        name = str(path.relative_to(store / "tree" / scene.wanted.transfer.dest))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == good[name] or not scene.strict
    dest = store / "tree" / scene.wanted.transfer.dest
    if dest.exists():
        named = manifest.parse((dest / ".artifact-sync.json").read_bytes(), where="")
        assert {file.name: file.sha256 for file in named.files}.items() <= good.items()
        summed = {line[66:]: line[:64] for line in (dest / "SHA256SUMS").read_text().splitlines()}
        assert summed.items() <= good.items()
        assert {file.name for file in named.files} <= summed.keys()
        for name in summed if scene.strict else ():
            assert (dest / name).is_file()


async def recover(path: Path, scene: Scene, *, downloaded_again: bool = False) -> None:
    """What the next start does. It must end whole, with nothing stray, and without a new download."""
    wanted = scene.wanted
    async with LocalStore.open(path) as store:
        await store.sync()
        if not await store.has(wanted.transfer.dest, wanted.files):
            assert downloaded_again or await store.staged(wanted.files)
        first = await store.publish(wanted)
        assert await store.publish(wanted) == first
        assert await store.has(wanted.transfer.dest, scene.expected)
        assert await store.sweep(lambda _: False) == 0
    look(path, Scene(path, wanted, scene.expected))
    objects = [each for each in (path / "objects").rglob("*") if each.is_file()]
    shown = [file for file in scene.expected if file.published]
    assert {each.name for each in objects} == {file.sha256 + "x" * file.executable for file in shown}


async def sweep(publish: Ask, scene: Scene, at: Path, judge: Callable[[str], bool], **order) -> Counter[str]:
    """Disturb the first call, the second, and so on until the publication is through undisturbed."""
    seen: Counter[str] = Counter()
    for call in range(1, MOST_CALLS):
        store = scene.fresh_copy(at)
        answer = publish(store=store, publication=scene.wanted, at=call, **order)
        assert judge(answer["result"]), (call, answer["result"])
        look(store, scene)
        await recover(store, scene)
        seen[answer["result"]] += 1
        if answer.get("calls", MOST_CALLS) < call:
            return seen
    pytest.fail(f"not through after {MOST_CALLS} calls")


@pytest.mark.parametrize(
    ("kind", "links"),
    [
        pytest.param("fresh", True, id="fresh"),
        pytest.param("gained", True, id="gained"),
        pytest.param("damaged", True, id="damaged"),
        pytest.param("unpacked", True, id="unpacked"),
        pytest.param("unpacked", False, id="unpacked, without links", marks=pytest.mark.long),
        pytest.param("gained", False, id="gained, without links"),
        pytest.param("fresh", False, id="fresh, without links", marks=pytest.mark.long),
        pytest.param("damaged", False, id="damaged, without links", marks=pytest.mark.long),
    ],
)
async def test_a_kill_at_any_call_leaves_all_or_nothing(publish, tmp_path, kind, links):
    """Nothing partial is ever visible, and the next start completes it from what lies in staging."""
    scene = await SCENES[kind](tmp_path / "template")
    seen = await sweep(publish, scene, tmp_path / "s", {"killed", "done"}.__contains__, how="kill", links=links)
    assert seen["killed"] >= 60
    assert seen["done"] == 1


@pytest.mark.parametrize(
    ("kind", "how", "sticky"),
    [
        pytest.param("fresh", "EIO", True, id="fresh, EIO from then on"),
        pytest.param("gained", "EIO", False, id="gained, EIO once"),
        pytest.param("gained", "ENOSPC", True, id="gained, ENOSPC from then on"),
        pytest.param("unpacked", "EIO", False, id="unpacked, EIO once", marks=pytest.mark.long),
        pytest.param("unpacked", "ENOSPC", True, id="unpacked, ENOSPC from then on", marks=pytest.mark.long),
        pytest.param("fresh", "EIO", False, id="fresh, EIO once", marks=pytest.mark.long),
        pytest.param("fresh", "ENOSPC", False, id="fresh, ENOSPC once", marks=pytest.mark.long),
        pytest.param("fresh", "ENOSPC", True, id="fresh, ENOSPC from then on", marks=pytest.mark.long),
        pytest.param("gained", "EIO", True, id="gained, EIO from then on", marks=pytest.mark.long),
        pytest.param("gained", "ENOSPC", False, id="gained, ENOSPC once", marks=pytest.mark.long),
    ],
)
async def test_an_error_at_any_call_is_typed_and_heals(publish, tmp_path, kind, how, sticky):
    """NoSpace for a full disk, StoreDamaged for a broken one, never a partial file, and the next start converges."""
    scene = await SCENES[kind](tmp_path / "template")
    seen = await sweep(publish, scene, tmp_path / "s", TYPED.__contains__, how=how, sticky=sticky)
    # A failed fsync is damage whatever its reason; everything else on a full disk is a matter of space.
    assert seen["StoreDamaged"] >= (50 if how == "EIO" else 5)
    assert (seen["NoSpace"] >= 50) == (how == "ENOSPC")


async def test_everything_is_durable_before_it_is_visible(publish, tmp_path):
    """Kills do not show a missing fsync, so the order is read: content, directories, the one rename, its directory."""
    scene = await fresh(tmp_path / "s")
    trace = publish(store=tmp_path / "s", publication=scene.wanted)["trace"]
    dest = f"{tmp_path}/s/tree/{scene.wanted.transfer.dest}"
    (shown,) = [n for n, line in enumerate(trace) if line.startswith("rename") and line.endswith(f" {dest}")]
    new = trace[shown].split()[1]
    before, after = trace[:shown], trace[shown + 1 :]
    for path in [line.split()[1] for line in before if line.startswith(("write ", "fchmod "))]:
        last = max(n for n, line in enumerate(before) if line.split()[1] == path and not line.startswith("fsync"))
        assert f"fsync {path}" in before[last:]
    for kind, *paths in (line.split() for line in before if line.startswith(("link ", "rename ", "mkdir "))):
        into = str(Path(paths[-1]).parent)
        if kind == "mkdir" and into.endswith(".staging"):
            continue
        last = max(n for n, line in enumerate(before) if line == " ".join((kind, *paths)))
        assert f"fsync {into}" in before[last:] or into == str(Path(new).parent), (kind, paths)
    assert f"fsync {Path(dest).parent}" in after
    assert f"fsync {tmp_path}/s/.staging" in after


async def test_what_is_added_is_durable_in_order(publish, tmp_path):
    """Links, then SHA256SUMS, then the manifest, each durable before the next begins."""
    scene = await gained(tmp_path / "s")
    trace = publish(store=tmp_path / "s", publication=scene.wanted)["trace"]
    dest = f"{tmp_path}/s/tree/{scene.wanted.transfer.dest}"
    links = [n for n, line in enumerate(trace) if line.startswith("link ") and dest in line]
    (sums,) = [n for n, line in enumerate(trace) if line.startswith("rename ") and line.endswith("/SHA256SUMS")]
    (named,) = [
        n for n, line in enumerate(trace) if line.startswith("rename ") and line.endswith(".artifact-sync.json")
    ]
    assert len(links) == 2
    assert links[-1] < sums < named
    assert {f"fsync {dest}", f"fsync {dest}/files/a"} <= set(trace[links[-1] : sums])
    assert f"fsync {dest}" in trace[sums:named]
    assert f"fsync {dest}" in trace[named:]
    for shown in (sums, named):
        written = trace[shown].split()[1]
        assert trace.index(f"write {written}") < trace.index(f"fsync {written}") < shown


@dataclass
class Batch:
    """Publications of one store that are published at once, each with what it is judged by."""

    template: Path
    scenes: list[Scene]

    async def recover(self, path: Path) -> None:
        """What the next start does with each of them."""
        async with LocalStore.open(path) as store:
            await store.sync()
            for scene in self.scenes:
                wanted = scene.wanted
                assert await store.has(wanted.transfer.dest, wanted.files) or await store.staged(wanted.files)
                await store.publish(wanted)
                assert await store.has(wanted.transfer.dest, scene.expected)
            assert await store.sweep(lambda _: False) == 0


async def batch(path: Path) -> Batch:
    """Two new neighbours, one of which shares bytes with the third, to which something is added."""
    dests = {1: "a/b/1", 2: "a/b/2", 3: "a/3"}
    async with LocalStore.open(path) as store:
        earlier = await publication(store, {"artifacts.zip": b"old"}, of=transfer(3, dest=dests[3]))
        await store.publish(earlier)
        one = await publication(store, {"artifacts.zip": b"one"}, of=transfer(1, dest=dests[1]))
        two = await publication(store, {"artifacts.zip": b"same"}, of=transfer(2, dest=dests[2]))
        more = transfer(3, dest=dests[3], names=("job.log",))
        three = await publication(store, {"job.log": b"same"}, of=more)
    files = [list(one.files), list(two.files), [*earlier.files, *three.files]]
    return Batch(path, [Scene(path, wanted, each) for wanted, each in zip([one, two, three], files, strict=True)])


def look_at_all(store: Path, scenes: list[Scene]) -> None:
    """Each is whole where it is visible."""
    for scene in scenes:
        dest = store / "tree" / scene.wanted.transfer.dest
        if dest.exists():
            named = manifest.parse((dest / ".artifact-sync.json").read_bytes(), where="")
            good = {file.name: file.sha256 for file in scene.expected}
            assert {file.name: file.sha256 for file in named.files}.items() <= good.items()
            for file in named.files:
                assert hashlib.sha256((dest / file.name).read_bytes()).hexdigest() == file.sha256


@pytest.mark.parametrize("how", ["kill", "EIO"])
async def test_a_batch_that_is_stopped_at_any_call_leaves_each_whole_or_absent(publish, tmp_path, how):
    """Whatever was synced for several at once, the next start completes all of them without a new download."""
    found = await batch(tmp_path / "template")
    (first, *others) = (scene.wanted for scene in found.scenes)
    seen: Counter[str] = Counter()
    for call in range(1, MOST_CALLS):
        at = Scene(found.template, first, []).fresh_copy(tmp_path / "s")
        answer = publish(store=at, publication=first, beside=others, at=call, how=how)
        assert answer["result"] in TYPED | {"killed"}, (call, answer["result"])
        look_at_all(at, found.scenes)
        await found.recover(at)
        look_at_all(at, found.scenes)
        seen[answer["result"]] += 1
        if answer.get("calls", MOST_CALLS) < call:
            break
    assert seen["killed" if how == "kill" else "StoreDamaged"] >= 60
    assert answer["result"] == "done"

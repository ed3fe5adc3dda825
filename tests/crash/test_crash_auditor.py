"""The auditor finds what is planted for it, each kind by its own words, and nothing in a store that is whole."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.auditor import Auditor
from tests.crash.served import Served

CONTENT = {"artifacts.zip": b"PK" * 500, "job.log": b"log\n", "content/a/b": b"one"}
DEST = "acme/app/main/build/7"


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def described(content: dict[str, bytes]) -> list[dict[str, object]]:
    """As manifests and rows describe files."""
    return [{"name": name, "sha256": digest(data), "size": len(data)} for name, data in content.items()]


@pytest.fixture
def whole(tmp_path) -> Auditor:
    """A store with one publication, a link to it, and the state that goes with it."""
    store, state = tmp_path / "mirror", tmp_path / "state.db"
    folder = store / "tree" / DEST
    (store / ".staging").mkdir(parents=True)
    for name, data in CONTENT.items():
        held = store / "objects" / digest(data)[:2] / digest(data)
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_bytes(data)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).hardlink_to(held)
    (folder / "SHA256SUMS").write_text("".join(f"{digest(data)}  {name}\n" for name, data in sorted(CONTENT.items())))
    (folder / ".artifact-sync.json").write_text(json.dumps({"job": {"id": 7}, "files": described(CONTENT)}))
    (folder.parent / "latest").symlink_to("7")
    with closing(sqlite3.connect(state)) as database, database:
        database.execute("CREATE TABLE transfer (dest TEXT, job_id INTEGER, state TEXT, published_files TEXT)")
        row = (DEST, 7, "published", json.dumps(described(CONTENT)))
        database.execute("INSERT INTO transfer VALUES (?, ?, ?, ?)", row)
    served = Served({7: {name: digest(data) for name, data in CONTENT.items()}})
    return Auditor(store=store, state=state, served=served)


def test_nothing_is_wrong_with_a_whole_store(whole):
    """Neither at any moment nor at the end, and a store that is not there yet is no violation."""
    assert whole.look(told=[DEST]) == []
    assert whole.look_complete() == []
    shutil.rmtree(whole.store)
    whole.state.unlink()
    assert whole.look() == []


def statement(sql: str) -> Callable[[Path, Path], None]:
    """Change the state."""

    def plant(store: Path, state: Path) -> None:
        with closing(sqlite3.connect(state)) as database, database:
            database.execute(sql)

    return plant


def replaced(name: str, content: bytes) -> Callable[[Path, Path], None]:
    """Put other bytes where a file of the store is, and not into its object."""

    def plant(store: Path, state: Path) -> None:
        (store / name).unlink(missing_ok=True)
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(content)

    return plant


def gone(name: str) -> Callable[[Path, Path], None]:
    """Remove a file or a directory of the store."""

    def plant(store: Path, state: Path) -> None:
        path = store / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return plant


TREE = f"tree/{DEST}"


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        pytest.param(replaced(f"{TREE}/artifacts.zip", b"PK" * 300), "instead of", id="a file cut short"),
        pytest.param(replaced(f"{TREE}/job.log", b"lag\n"), "instead of", id="a flipped bit"),
        pytest.param(gone(f"{TREE}/content/a/b"), "not there", id="a named file is missing"),
        pytest.param(replaced(f"{TREE}/more", b""), "no manifest names it", id="a file too many"),
        pytest.param(replaced("tree/acme/half", b"x"), "no manifest names it", id="a file outside of publications"),
        pytest.param(gone(f"{TREE}/.artifact-sync.json"), "no manifest names it", id="no manifest"),
        pytest.param(replaced(f"{TREE}/.artifact-sync.json", b'{"job":'), "not whole", id="half a manifest"),
        pytest.param(gone(f"{TREE}/SHA256SUMS"), "SHA256SUMS", id="no checksums"),
        pytest.param(replaced(f"{TREE}/SHA256SUMS", b"0123"), "SHA256SUMS", id="half of the checksums"),
        pytest.param(replaced("objects/ab/ab", b"x"), "not what its name says", id="half an object"),
        pytest.param(gone(TREE), "points at no publication", id="a link to nothing"),
        pytest.param(gone("tree"), "and not there", id="a published row without a publication"),
        pytest.param(statement("UPDATE transfer SET job_id = 8"), "of job", id="a row of another job"),
        pytest.param(
            statement("UPDATE transfer SET published_files = replace(published_files, '1000', '1001')"),
            "according to the state",
            id="a row with another size",
        ),
        pytest.param(
            statement("UPDATE transfer SET published_files = '['"), "cannot be", id="a row that cannot be read"
        ),
        pytest.param(statement("UPDATE transfer SET state = 'wanted'"), "does not say so", id="a told row is lost"),
        pytest.param(lambda _, state: state.write_bytes(b"x" * 9000), "cannot be read", id="no database"),
    ],
)
def test_what_is_planted_is_found(whole, plant, said):
    """Something is wrong, and the words name it."""
    plant(whole.store, whole.state)
    assert any(said in one for one in whole.look(told=[DEST])), whole.look(told=[DEST])


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        pytest.param(replaced(".staging/1-0.part", b"x"), "left over", id="a part"),
        pytest.param(lambda store, _: (store / ".staging" / "publish-1").mkdir(), "left over", id="a directory"),
        pytest.param(
            replaced(f"objects/{digest(b'x')[:2]}/{digest(b'x')}", b"x"), "nobody's object", id="an object too many"
        ),
        pytest.param(statement("DELETE FROM transfer"), "not mirrored", id="a job that is not mirrored"),
    ],
)
def test_what_is_left_over_or_missing_at_the_end_is_found(whole, plant, said):
    """These are no violations in the middle of the work."""
    plant(whole.store, whole.state)
    assert whole.look() == []
    assert any(said in one for one in whole.look_complete())


def test_what_gitlab_does_not_serve_is_found(whole):
    """A mirror whose manifest and checksums agree is wrong where GitLab has other bytes, or no such job."""
    other = Auditor(store=whole.store, state=whole.state, served=Served({7: {"artifacts.zip": digest(b"other")}}))
    assert any("not what GitLab serves" in one for one in other.look())
    assert any(
        "does not have" in one for one in Auditor(store=whole.store, state=whole.state, served=Served({})).look()
    )

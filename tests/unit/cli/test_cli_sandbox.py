"""A demo's folder is started afresh only when a demo made it."""

import os

import pytest

from artifact_sync.cli import sandbox
from artifact_sync.errors import UsageError
from artifact_sync.store.lock import held


def test_a_new_folder_is_marked(tmp_path):
    """A folder that is absent or empty gets the marker, which is the configuration."""
    (tmp_path / "empty").mkdir()
    for name in ("absent/deep", "empty"):
        marker = sandbox.prepare(tmp_path / name, "version: 1\n")
        assert marker.read_text().endswith("\nversion: 1\n")


def test_an_earlier_demo_is_removed(tmp_path):
    """What an earlier demo left is removed, and the folder marked anew."""
    sandbox.prepare(tmp_path, "version: 1\n")
    (tmp_path / "tree" / "group").mkdir(parents=True)
    (tmp_path / "tree" / "group" / "artifacts.zip").write_bytes(b"x")
    (tmp_path / "demo.db").write_bytes(b"x")
    sandbox.prepare(tmp_path, "version: 1\nmore: 1\n")
    assert [path.name for path in tmp_path.iterdir()] == [sandbox.MARKER]


@pytest.mark.parametrize("name", ["precious.txt", "tree", ".git", "demo.yaml"])
def test_a_folder_of_somebody_is_refused(tmp_path, name):
    """A folder with anything in it but no demo's marker is refused, and nothing in it is touched."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="no demo made"):
        sandbox.prepare(tmp_path, "version: 1\n")
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_stranger_beside_a_demo_is_refused(tmp_path):
    """A file that somebody put beside a demo's is named, and nothing is removed."""
    sandbox.prepare(tmp_path, "version: 1\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        sandbox.prepare(tmp_path, "version: 1\n")
    assert {path.name for path in tmp_path.iterdir()} == {sandbox.MARKER, "tree", "notes.txt"}


def test_a_file_is_refused(tmp_path):
    """A file in the folder's place is refused."""
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        sandbox.prepare(tmp_path / "x", "version: 1\n")


def test_a_running_demo_is_not_disturbed(tmp_path):
    """While a process works on the folder nothing is removed, and the error names the process."""
    sandbox.prepare(tmp_path, "version: 1\n")
    (tmp_path / "tree").mkdir()
    with held(tmp_path / ".lock"), pytest.raises(UsageError, match=f"in use by process {os.getpid()}"):
        sandbox.prepare(tmp_path, "version: 1\n")
    assert (tmp_path / "tree").is_dir()
    sandbox.prepare(tmp_path, "version: 1\n")

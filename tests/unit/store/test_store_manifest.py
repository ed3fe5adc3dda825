"""Manifests and SHA256SUMS as values."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.ports import Publication
from artifact_sync.store import manifest
from artifact_sync.store.sums import sums
from tests.storage import HOUR, NOW, staged_file, transfer


def made(names=("artifacts.zip",), rules=("releases",), earlier=None, at=NOW) -> manifest.Manifest:
    """The manifest of a publication of these files, each holding its own name."""
    files = tuple(staged_file(name, name.encode(), "p") for name in names)
    wanted = Publication(transfer=transfer(names=names, rules=rules, deadline=NOW + HOUR), files=files, at=at)
    return manifest.merged(wanted, earlier)


def test_a_manifest_comes_back():
    """Byte for byte the same when written again; sorted, UTF-8, with a line break at its end."""
    first = made(("artifacts.zip", "files/b", "job.log"))
    encoded = manifest.encode(first)
    assert manifest.parse(encoded, where="x") == first
    assert manifest.encode(manifest.parse(encoded, where="x")) == encoded
    read = json.loads(encoded)
    assert list(read) == sorted(read)
    assert encoded.endswith(b"}\n")
    assert read["version"] == 1
    assert read["job"]["pipeline"] == {"id": 900, "source": "push"}
    assert read["job"]["sha"] == "c0ffee"
    assert read["artifacts_expire_at"] == "2024-05-17T13:00:00.123456Z"


def test_a_manifest_is_enough_for_the_state():
    """The transfer and what was staged come back exactly, but for the name that a part once had."""
    read = manifest.parse(manifest.encode(made(("artifacts.zip", "job.log"))), where="x")
    assert read.transfer == transfer(names=("artifacts.zip", "job.log"), deadline=NOW + HOUR)
    assert [file.staged() for file in read.files] == [
        staged_file(name, name.encode(), "") for name in ("artifacts.zip", "job.log")
    ]


def test_two_rules_make_one_manifest():
    """Files and items each once, rules in the order in which they came; the time is the later one."""
    first = made(("artifacts.zip",), ("a", "b"))
    both = made(("artifacts.zip", "job.log"), ("b", "c"), earlier=first, at=NOW + HOUR)
    assert both.rules == ("a", "b", "c")
    assert [file.name for file in both.files] == ["artifacts.zip", "job.log"]
    assert [item.name for item in both.transfer.items] == ["artifacts.zip", "job.log"]
    assert both.published_at == NOW + HOUR
    assert made(("job.log",), ("c",), earlier=both, at=NOW + 2 * HOUR) is both


def test_a_file_that_nobody_asked_for_is_refused():
    """Each file is described by its item."""
    wanted = Publication(transfer=transfer(), files=(staged_file("job.log", b"", "p"),), at=NOW)
    with pytest.raises(StoreError, match=r"job\.log"):
        manifest.merged(wanted, None)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"version": "one"}, "version"),
        ({"files": None}, "files"),
        ({"surprise": 1}, "surprise"),
        ({"published_at": "2024-05-17T12:00:00"}, "published_at"),
    ],
)
def test_what_is_no_manifest_says_where(change, wrong):
    """A wrong type, an unknown key, a time without an offset."""
    content = json.dumps(json.loads(manifest.encode(made())) | change).encode()
    with pytest.raises(Corrupt, match=wrong) as caught:
        manifest.parse(content, where="tree/a/.artifact-sync.json")
    assert "tree/a/.artifact-sync.json" in str(caught.value)
    assert caught.value.hint


def test_a_hash_that_is_none_is_refused():
    """Nothing could be proved by it."""
    content = manifest.encode(made()).replace(staged_file("", b"artifacts.zip", "").sha256.encode(), b"0" * 63)
    with pytest.raises(Corrupt, match="sha256"):
        manifest.parse(content, where="x")


def test_a_newer_manifest_is_refused_as_such():
    """It is not damaged: another program is needed."""
    with pytest.raises(StoreError, match="version 2") as caught:
        manifest.parse(b'{"version": 2, "everything": "else"}', where="x")
    assert not isinstance(caught.value, Corrupt)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_a_typed_error(content):
    """No other exception."""
    with pytest.raises((Corrupt, StoreError)):
        manifest.parse(content, where="x")


@given(st.data())
def test_a_cut_manifest_is_never_believed(data):
    """At any byte but its last line break."""
    content = manifest.encode(made(("artifacts.zip", "job.log")))
    cut = data.draw(st.integers(0, len(content) - 2))
    with pytest.raises(Corrupt):
        manifest.parse(content[:cut], where="x")


def test_sha256sum_understands_every_name(tmp_path):
    """Also those with a backslash, a line break, leading blanks or stars; sorted."""
    names = ["z", "a b", "back\\slash", "line\nbreak", "\\n", " *star", "\u00fc"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    content = sums({name: staged_file("", name.encode(), "").sha256 for name in names})
    (tmp_path / "SHA256SUMS").write_bytes(content)
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=True
    )
    assert checked.stdout.count(b": OK") == len(names)
    assert len(content.splitlines()) == len(names)
    assert [line.lstrip("\\")[66:] for line in content.decode().splitlines()][-2:] == ["z", "\u00fc"]

"""A store that one line without a configuration has filled: looked at by its folder alone."""

import json
from pathlib import Path

import pytest

from tests.acceptance.harness import Ran, archives, artifact_sync, configuration, simulated_gitlab

READING = (["ls"], ["status"], ["verify"], ["get", "acme/app", "main", "none", "--into", "copy"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the line was written; GitLab is gone since."""
    place = tmp_path_factory.mktemp("stored")
    with simulated_gitlab("jobs:3") as gitlab:
        line = ("sync", "--url", gitlab.url, "--project", "acme/app", "--into", "./releases")
        assert artifact_sync(*line, cwd=place).code == 0
    return place


def run(folder: Path, *words: str) -> Ran:
    """Without any token: what is here needs none."""
    return artifact_sync(*words, cwd=folder, env={"GITLAB_TOKEN": ""})


def test_what_is_mirrored_is_found_read_and_copied_out(folder: Path):
    """ls, status, verify and get need the folder alone, neither GitLab nor a token nor a configuration."""
    listed = run(folder, "ls", "--store", "./releases", "--json")
    assert (listed.code, listed.err) == (0, "")
    found = [json.loads(line) for line in listed.out.splitlines()]
    assert {each["job_id"] for each in found} == archives(folder / "releases").keys()
    status = run(folder, "status", "--store", "releases/")
    assert (status.code, status.err) == (0, "")
    assert "3 published" in status.out
    verified = run(folder, "verify", "--store", "./releases")
    assert (verified.code, verified.err) == (0, "")
    assert verified.out.startswith("Verified 3 publications, ")
    newest = found[0]
    got = run(folder, "get", newest["url"], "artifacts.zip", "--store", "./releases", "--into", "copy")
    assert (got.code, got.err) == (0, "")
    tree = folder / "releases" / "tree" / newest["dest"]
    assert (folder / "copy" / "artifacts.zip").read_bytes() == (tree / "artifacts.zip").read_bytes()


def test_what_is_there_is_chosen_as_with_a_configuration(folder: Path):
    """--project, --ref and --job choose, and a configuration in the same folder is not asked."""
    everything = run(folder, "ls", "--store", "./releases", "--project", "acme/app").out
    assert len(everything.splitlines()) == 3
    assert "Nothing that was asked for" in run(folder, "ls", "--store", "./releases", "--ref", "none").out
    path = configuration(folder, "https://elsewhere.example")
    assert run(folder, "ls", "--store", "./releases").out == everything
    path.unlink()


def test_what_is_not_mirrored_has_an_exit_code_of_its_own(folder: Path):
    """5, not 2: the line was right, and a later pass may bring it."""
    ran = run(folder, "get", "acme/app", "v9", "none", "--store", "./releases", "--into", "never")
    assert ran.code == 5
    assert "nothing is mirrored of job none of v9 in acme/app" in ran.err
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ls", "--store", "./none"], "there is no none.db beside none"),
        (["ls", "--into", "./releases"], "hint: To look at a folder that is filled already: --store ./releases"),
        (["status", "--store", "./releases", "-c", "x.yaml"], "--store and --config exclude each other"),
        (["verify", "--store", "./releases", "--url", "https://x.example"], "--store and --url exclude each other"),
        (["verify", "--repair", "--store", "./releases"], "--repair and --store exclude each other"),
    ],
)
def test_what_cannot_stand_together(folder: Path, words: list[str], told: str):
    """2, with what to write instead, and nothing is made."""
    before = sorted(folder.iterdir())
    ran = run(folder, *words)
    assert ran.code == 2
    assert told in ran.err
    assert "hint: " in ran.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", READING)
def test_without_a_configuration_the_way_is_shown(tmp_path: Path, command: list[str]):
    """Whoever has no configuration is told of the folder, too."""
    ran = artifact_sync(*command, cwd=tmp_path)
    assert ran.code == 2
    assert "--store ./mirror" in ran.err
